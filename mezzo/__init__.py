"""mezzo: a two-level cluster manager."""

__version__ = "0.1.0"
# The version of the APIs that we speak, for clients that ask. They split it at the dots and read
# numbers.
MESOS_VERSION = "1.11.0"
# The program behind these, as clients are told.
BUILD = f"mezzo-{__version__}"
