"""Which instances end, and how they are brought to it."""
