"""From an offer to a task: does it fit, on which ports, with what environment."""
