"""Durable state of one daemon: `base` is the contract, `open` picks one of the three stores.

Nothing is imported here, so that the pure `memory` store drags no database into a simulation.
"""
