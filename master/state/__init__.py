"""What the leading master knows, in memory: no rules, but for keeping it consistent."""
