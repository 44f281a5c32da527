"""What this release writes, kept: every later one has to read it.

`python -m tests.golden` adds what is new to tests/data/golden/<version>.json and changes nothing
that is there: a message or a stored record that reads otherwise needs an upgrade, not another file.
"""
