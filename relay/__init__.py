"""The relay: many agents' streams over one."""
