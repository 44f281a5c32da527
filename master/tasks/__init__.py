"""Tasks and executors: their updates, kills, reconciliation, ends."""
