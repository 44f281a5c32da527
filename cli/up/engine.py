"""Is there a Docker engine, and does it have an image?"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from mezzo.json_types import Json
from mezzo.process.users import current_user

_ANSWERS_WITHIN_S: Final = 3
_PULL_WITHIN_S: Final = 300


def engine_problem(docker_host: str | None) -> str | None:
    """Why the engine can't be used, in a few words; None: it answers."""
    import docker
    from docker.errors import DockerException

    url = docker_host or os.environ.get("DOCKER_HOST") or None
    where = url or "its default socket"
    try:
        client = docker.DockerClient(base_url=url, timeout=_ANSWERS_WITHIN_S)
        try:
            client.ping()
        finally:
            client.close()
    except (DockerException, OSError, ValueError) as error:
        # Its text is a chain of library internals, with the cause somewhere in it.
        if "PermissionError" in repr(error):
            return (
                f"user {current_user()} may not use the Docker engine at {where} (join the group "
                "of its socket, which is often docker)"
            )
        return f"no Docker engine answers at {where}"
    return None


def image_of(definition: Json) -> str | None:
    """The image that an app needs; None: it needs no Docker."""
    image: str | None = (definition.get("container") or {}).get("docker", {}).get("image")
    return image


def image_problem(docker_host: str | None, image: str, say: Callable[[str], None]) -> str | None:
    """Why the engine can't run `image`; None: it has it, after pulling it if need be."""
    import docker
    from docker.errors import DockerException, ImageNotFound

    url = docker_host or os.environ.get("DOCKER_HOST") or None
    client = docker.DockerClient(base_url=url, timeout=_PULL_WITHIN_S)
    try:
        client.images.get(image)
    except ImageNotFound:
        say(f"pulling {image}")
        try:
            client.images.pull(image)
        except DockerException as error:
            return f"the engine has no image {image} and cannot pull it ({_brief(error)})"
    finally:
        client.close()
    return None


def _brief(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error).splitlines()[0]
