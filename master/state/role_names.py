"""What a role may be called. Rules: Mesos `roles.cpp`."""

from __future__ import annotations

from mezzo.errors import BadRequest


def check_role(role: str) -> None:
    """Mesos `roles::validate`. Raises BadRequest."""
    if role == "*":
        return
    for part in role.split("/"):
        if (
            not part
            or part in (".", "..", "*")
            or part.startswith("-")
            or any(ch.isspace() or ord(ch) < 32 or ord(ch) == 127 for ch in part)
        ):
            raise BadRequest(
                f"role {role!r} is invalid: its parts between slashes must not be empty, '.', "
                "'..', '*', begin with '-' or hold white space or control characters"
            )


def check_usable(allowed: tuple[str, ...] | None, role: str) -> None:
    """A valid name of a role that may be used: besides `*` only `allowed`; None: all are.

    Raises BadRequest.
    """
    check_role(role)
    if allowed is not None and role != "*" and role not in allowed:
        raise BadRequest(
            f"role {role!r} is not one that this cluster allows: use one of "
            f"{', '.join(('*', *allowed))}, or add it to the master's --roles"
        )
