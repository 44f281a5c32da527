"""What operators ask and see: calls, event streams, EXPLAIN."""
