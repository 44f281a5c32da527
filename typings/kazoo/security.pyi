"""The access control lists of kazoo 2.10 that mezzo uses."""

class ACL: ...

CREATOR_ALL_ACL: list[ACL]
READ_ACL_UNSAFE: list[ACL]
