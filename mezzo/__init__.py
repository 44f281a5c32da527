"""mezzo: a two-level cluster manager."""

__version__ = "0.1.0"
# Whose APIs we speak: what clients that ask for a version are told.
MESOS_VERSION = "1.11.0"
