"""A read replica of the cluster, and who keeps it up to date."""
