"""What the master keeps in the store: see `mezzo.tables`."""

from __future__ import annotations

from typing import Final

from mezzo.messages.operator import QuotaConfig, WeightInfo
from mezzo.tables import Table

from .state.machines import MaintenanceRecord
from .state.records import AgentRecord, FrameworkRecord

AGENTS: Final = Table("agent", AgentRecord, lambda record: record.info.id or "")
FRAMEWORKS: Final = Table("framework", FrameworkRecord, lambda record: record.info.id or "")
WEIGHTS: Final = Table("weight", WeightInfo, lambda info: info.role)
QUOTAS: Final = Table("quota", QuotaConfig, lambda config: config.role)
MAINTENANCE: Final = Table("maintenance", MaintenanceRecord, lambda _: "machines")
