"""The master, except its allocator."""
