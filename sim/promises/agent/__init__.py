"""Promises 2, 3 and 4 where tasks run."""
