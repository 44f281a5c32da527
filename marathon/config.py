"""What a Marathon core is told at its start: Marathon's flags, with Marathon's defaults.

Fields with a Flag are settings. Times in seconds.
"""

from __future__ import annotations

from typing import Annotated

from mezzo.core import STEP_BYTES
from mezzo.flags import DURATION, PORT, Flag, Whole
from mezzo.record import Record


class MarathonConfig(Record):
    framework_name: Annotated[str, Flag("Its name at the master.")] = "marathon"
    framework_user: str = "root"
    hostname: str | None = None
    webui_url: str | None = None
    mesos_role: Annotated[str, Flag("Role whose resources it is offered.")] = "*"
    failover_timeout_s: Annotated[
        float, Flag("How long its tasks run on without any Marathon.", DURATION)
    ] = 604800.0
    checkpoint: bool = True

    env_vars_prefix: Annotated[
        str | None, Flag("Before the names of the variables that it sets for tasks.")
    ] = None
    local_port_min: Annotated[int, Flag("Least service port that it assigns.", PORT)] = 10000
    local_port_max: Annotated[int, Flag("Greatest one.", PORT)] = 20000
    max_versions: int = 50
    step_bytes: int = STEP_BYTES  # after which a step leaves the rest to another

    max_instances_per_offer: Annotated[
        int, Flag("How many instances it launches on one offer.", Whole(1))
    ] = 5
    launch_tokens: Annotated[
        int, Flag("How many launches it begins before it sees the first ones run.", Whole(1))
    ] = 100
    max_running_deployments: Annotated[
        int, Flag("More than so many at a time are refused.", Whole(1))
    ] = 100
    launch_token_refresh_s: float = 30.0
    decline_offer_s: float = 120.0
    min_revive_offers_s: float = 5.0
    task_launch_confirm_timeout_s: float = 300.0
    task_launch_timeout_s: float = 300.0

    kills_at_once: int = 100  # Marathon: kill_chunk_size
    kill_retry_s: float = 30.0

    reconciliation_initial_delay_s: float = 15.0
    reconciliation_interval_s: float = 600.0
    scale_apps_initial_delay_s: float = 15.0
    scale_apps_interval_s: float = 300.0
    task_lost_expunge_initial_delay_s: float = 300.0
    task_lost_expunge_interval_s: float = 30.0
