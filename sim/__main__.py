"""`python -m mezzo.sim`: the same as `mezzo sim seeds`."""

from __future__ import annotations

from .seeds import Failure, main, run_seed

__all__ = ["Failure", "main", "run_seed"]

if __name__ == "__main__":
    main()
