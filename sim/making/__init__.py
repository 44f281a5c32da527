"""How a seed becomes a cluster: what it draws, who is there, who changes things, who watches."""
