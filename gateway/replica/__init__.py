"""A read replica of the cluster, and the follower that keeps it up to date."""
