"""Fixtures that start real parts are plugins, one line each."""

pytest_plugins = ["tests.docker_engine", "tests.zookeeper"]
