"""`python -m tests.golden`: keep what this release writes."""

from __future__ import annotations

from .kept import add_missing

if __name__ == "__main__":
    print(f"{add_missing()} added")
