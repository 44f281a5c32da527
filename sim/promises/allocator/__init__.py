"""Promises 1 and 7: nothing twice, everybody in turn."""
