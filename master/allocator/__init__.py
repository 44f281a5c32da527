"""Who is offered what. `Allocator` is pure bookkeeping: the core tells it every change."""

from .allocator import Allocator
from .offer_constraints import Constraints, compile_constraints
from .reasons import Objection, Verdict, Veto
from .terms import (
    AgentTerms,
    AllocatorConfig,
    Client,
    Demand,
    FrameworkTerms,
    Grant,
    Quantities,
    Quota,
    RoleBooks,
    Withdraw,
)

__all__ = [
    "AgentTerms",
    "Allocator",
    "AllocatorConfig",
    "Client",
    "Constraints",
    "Demand",
    "FrameworkTerms",
    "Grant",
    "Objection",
    "Quantities",
    "Quota",
    "RoleBooks",
    "Verdict",
    "Veto",
    "Withdraw",
    "compile_constraints",
]
