"""Agents: who is admitted, merged, pinged, drained, taken down, called unreachable."""
