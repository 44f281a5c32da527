"""mezzo: a two-level cluster manager."""

__version__ = "0.1.0"
