"""ZooKeeper: addresses, clients, and reading many nodes at once."""
