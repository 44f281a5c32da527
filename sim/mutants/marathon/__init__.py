"""Marathon: apps, deployments, instances, offers."""
