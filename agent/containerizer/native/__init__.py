"""Tasks as processes, each with a keeper that outlives the agent."""
