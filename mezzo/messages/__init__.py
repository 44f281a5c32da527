"""The verbs: what frameworks, agents and masters say to each other, as records."""
