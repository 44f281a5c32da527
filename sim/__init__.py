"""The simulator: the daemons' own cores in virtual time, under faults, watched."""
