"""Faults, and when they come."""
