"""Roles: their weights and quota."""
