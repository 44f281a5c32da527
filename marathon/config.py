"""What a Marathon core is told at its start: Marathon's flags, with Marathon's defaults.

Times in seconds.
"""

from __future__ import annotations

from mezzo.record import Record


class MarathonConfig(Record):
    framework_name: str = "marathon"
    framework_user: str = "root"
    hostname: str | None = None
    webui_url: str | None = None
    mesos_role: str = "*"
    failover_timeout_s: float = 604800.0
    checkpoint: bool = True

    local_port_min: int = 10000
    local_port_max: int = 20000
    env_vars_prefix: str | None = None
    max_versions: int = 50
    max_running_deployments: int = 100
    # What one step may write before it has to stop and go on in another: a step is one transaction,
    # and the smallest store takes about a megabyte.
    step_bytes: int = 400_000

    max_instances_per_offer: int = 5
    launch_tokens: int = 100
    launch_token_refresh_s: float = 30.0
    decline_offer_s: float = 120.0
    min_revive_offers_s: float = 5.0
    task_launch_confirm_timeout_s: float = 300.0
    task_launch_timeout_s: float = 300.0

    kill_chunk_size: int = 100
    kill_retry_s: float = 30.0

    reconciliation_initial_delay_s: float = 15.0
    reconciliation_interval_s: float = 600.0
    scale_apps_initial_delay_s: float = 15.0
    scale_apps_interval_s: float = 300.0
    task_lost_expunge_initial_delay_s: float = 300.0
    task_lost_expunge_interval_s: float = 30.0
