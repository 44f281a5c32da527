"""structlog without rich.

Its console renderer loads rich, if that is there, for a way to show exceptions that is not ours:
three megabytes of every daemon.
"""

from __future__ import annotations

import sys

__all__ = ["structlog"]

_hidden = {name: module for name, module in sys.modules.items() if name == "rich"}
sys.modules["rich"] = None  # type: ignore[assignment] # importing it fails as if it were not there
try:
    import structlog
finally:
    del sys.modules["rich"]
    sys.modules |= _hidden
