"""Scenario files and experiments: clusters of one's own, measured."""
