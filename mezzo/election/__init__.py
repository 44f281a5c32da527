"""Who leads: `base` is the contract, `detector` picks what an address asks for.

Mesos's ZooKeeper layout (`zookeeper`), a lock file on one machine (`solo`), fixed addresses.
"""
