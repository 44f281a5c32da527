"""What the master keeps in the store. How it comes back is in loading.py."""

from __future__ import annotations

from mezzo.cluster.model import AgentInfo, FrameworkInfo
from mezzo.core import RECORD_BYTES_MAX
from mezzo.errors import BadRequest
from mezzo.record import encode
from mezzo.units import SECONDS_MAX

from .state.framework_entry import FrameworkEntry
from .state.records import FrameworkRecord
from .state.step import Step
from .tables import FRAMEWORKS


def check_info(what: str, info: FrameworkInfo | AgentInfo) -> None:
    """Raise BadRequest for an agent whose record would be more than the store takes."""
    size = len(encode(info))
    if size > RECORD_BYTES_MAX:
        raise BadRequest(
            f"{what} takes {size} bytes, more than {RECORD_BYTES_MAX}: give it fewer or shorter "
            "labels, attributes or roles"
        )


def keep_framework(step: Step, framework: FrameworkEntry) -> None:
    """Store the framework, unless it is stored like this already: some come and go all the time."""
    deadline_s = framework.deadline_s
    record = FrameworkRecord(
        framework.info,
        framework.registered_s or 0.0,
        None if deadline_s is None else min(deadline_s, SECONDS_MAX),
        framework.unregistered_s,
    )
    if (stored := encode(record)) != framework.stored:
        framework.stored = stored
        step.put(FRAMEWORKS, record)
