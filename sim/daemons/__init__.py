"""Masters, agents, Marathons and other frameworks in virtual time, in simulated processes."""
