"""Mesos' classic endpoints."""
