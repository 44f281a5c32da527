"""Commands that look at a cluster and steer it: one file each."""
