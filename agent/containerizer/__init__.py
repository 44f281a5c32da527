"""What runs tasks: container.py is the contract, `docker` and `native` fulfil it."""
