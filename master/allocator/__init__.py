"""Who is offered what. `Allocator` is pure bookkeeping: the core tells it every change."""

from .allocator import Allocator, FrameworkTerms, Grant

__all__ = ["Allocator", "FrameworkTerms", "Grant"]
