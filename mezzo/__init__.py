"""mezzo: a two-level cluster manager."""

__version__ = "0.1.0"
# Whose APIs we speak: what clients that ask for a version are told. They split it at the dots and
# read numbers.
MESOS_VERSION = "1.11.0"
# What they are told of the program behind it.
BUILD = f"mezzo-{__version__}"
