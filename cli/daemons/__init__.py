"""Commands that run a daemon: one file each."""
