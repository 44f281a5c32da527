"""Promises 4, 5, 6, 9 and 10 at the master."""
