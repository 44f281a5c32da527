"""What the agent knows: the checkpoint, which outlives it, and what is of this life."""
