"""Who is offered what. `Allocator` is pure bookkeeping: the core tells it every change."""
