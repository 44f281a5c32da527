"""Promises 6 and 11: what runs is what was asked of Marathon."""
