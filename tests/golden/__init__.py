"""What this release writes, kept: every later one has to read it.

`python -m tests.golden` adds what is new to tests/data/golden/<version>.json, also the fields that
what is there lacks. It takes nothing away: a message or a stored record that reads otherwise needs
an upgrade, not another file.
"""
