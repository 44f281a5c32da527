"""Frameworks: how they subscribe, are away, fail over and end."""
