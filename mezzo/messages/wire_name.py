"""What a message is called on the wire."""

from __future__ import annotations

import re

from mezzo.record import Record


def wire_name(kind: type[Record]) -> str:
    """GetAgents: GET_AGENTS. In lower case it is the field of its body."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper()
