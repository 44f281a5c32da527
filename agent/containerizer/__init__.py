"""What runs tasks: `base` is the contract, `docker` and `process` fulfil it."""
