"""Promises 6 and 11: Marathon runs what it was asked to."""
