"""A task from its launch to what it leaves behind."""
