"""One command beside a Docker task, in its container, that can be given up at any moment."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Any, Final

import docker

from mezzo.cluster.model import CommandInfo

_CHUNK_BYTES: Final = 64 * 1024


class Exec:
    """`run` blocks in a thread; `stop` is for another one and does not block."""

    def __init__(self, container: str, command: CommandInfo) -> None:
        self._container = container
        self._command = command
        self._stopped = False
        self._connection: socket.socket | None = None

    def run(self, api: docker.APIClient) -> int:
        """The exit code. Raises docker.errors.APIError, and OSError when the engine goes away."""
        command = self._command
        argv = (
            ["/bin/sh", "-c", command.value or ""]
            if command.shell
            else [command.value or "", *command.arguments[1:]]
        )
        made = api.exec_create(
            self._container,
            argv,
            environment={v.name: v.value or "" for v in command.environment},
            user=command.user or "",
        )
        stream: Any = api.exec_start(made["Id"], socket=True)
        with contextlib.closing(stream):
            self._connection = getattr(stream, "_sock", stream)
            assert self._connection is not None
            self._connection.settimeout(None)
            while not self._stopped and stream.read(_CHUNK_BYTES):
                pass  # what a check prints is of no use
        state = api.exec_inspect(made["Id"])
        if self._stopped:
            self._kill(api, state)
        return int(state["ExitCode"] or 0)

    def stop(self) -> None:
        self._stopped = True
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def _kill(self, api: docker.APIClient, state: dict[str, Any]) -> None:
        """Kill the command: the engine has no call for that, and a hanging one would stay for ever.

        By its pid on this machine, which must be in a control group of that container: with an
        engine elsewhere the number means another process here.
        """
        if not state["Running"] or not state["Pid"]:
            return
        with contextlib.suppress(OSError):
            if state["ContainerID"] in Path(f"/proc/{state['Pid']}/cgroup").read_text():
                os.kill(state["Pid"], signal.SIGKILL)
