"""Fixtures that start real parts are plugins, one line each."""

from hypothesis import settings

pytest_plugins = ["tests.docker_engine", "tests.whole_cluster", "tests.zookeeper", "tests.deep"]

# How long an example takes is a matter of the machine and of what else it does.
settings.register_profile("mezzo", deadline=None, print_blob=True)
settings.load_profile("mezzo")
