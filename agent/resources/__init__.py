"""What the agent has: detected, and changed by operations."""
