"""Marathon: the framework that keeps long-running services alive, and its v2 API."""
