"""What a cluster is made of: the nouns, their states, and the arithmetic of resources."""
