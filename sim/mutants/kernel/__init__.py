"""What all daemons share: the runtime, what is stored and sent, how resources are counted."""
