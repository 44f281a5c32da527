"""`mezzo.process.daemon` with real processes: stops, children, a fresh start under the same pid."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mezzo.process.daemon import PARENT_VARIABLE, Sidecar, cli_command

WITHIN_S = 20.0

# What it prints tells how far it came; it runs until it is stopped.
DAEMON = """
import asyncio, sys
from mezzo.process import daemon
async def main():
    print("up", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)
    return 7
sys.exit(daemon.run(main, name="test"))
"""


def eventually(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WITHIN_S:g} s: {what}"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Zombies that nobody has reaped yet are gone too."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a Python script; what still runs at the end of the test is killed."""
    all_of_them = []

    def start(script: str, **env: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        child = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=pipe,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | env,
        )
        all_of_them.append(child)
        return child

    yield start
    for child in all_of_them:
        child.kill()
        child.communicate()


def first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_a_clean_stop(
    started: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    child = started(DAEMON)
    assert first_line(child) == "up"
    child.send_signal(number)
    printed, _ = child.communicate(timeout=WITHIN_S)
    assert printed.startswith("cleaned up\n")
    assert child.returncode == 0


def test_under_nohup_the_end_of_the_terminal_is_nothing(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    ignored = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    child = started(ignored + DAEMON)
    assert first_line(child) == "up"
    child.send_signal(signal.SIGHUP)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=WITHIN_S)
    assert child.returncode == 0


def test_a_stop_that_hangs_ends_all_the_same_and_says_where(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    hanging = DAEMON.replace("finally:", "finally:\n        import time; time.sleep(600)")
    child = started(hanging.replace("async def", "daemon.STOP_WITHIN_S = 0.3\nasync def", 1))
    assert first_line(child) == "up"
    child.send_signal(signal.SIGTERM)
    printed, _ = child.communicate(timeout=WITHIN_S)
    assert child.returncode == 1
    assert "daemon.stop_hangs" in printed
    assert "MainThread" in printed


@pytest.mark.parametrize("end", ["pass", "raise KeyError('a bug')", "raise MezzoError('so')"])
def test_threads_that_hang_keep_no_daemon_that_has_ended(
    started: Callable[..., subprocess.Popen[str]], end: str
) -> None:
    hang = (
        "from concurrent.futures import ThreadPoolExecutor as Pool; import threading; "
        "from mezzo.errors import MezzoError; Pool().submit(threading.Event().wait); "
    )
    hanging = DAEMON.replace("await asyncio.Event().wait()", hang + end)
    child = started(hanging.replace("async def", "daemon.STOP_WITHIN_S = 0.3\nasync def", 1))
    printed, _ = child.communicate(timeout=WITHIN_S)
    assert child.returncode == 1
    assert "daemon.stop_hangs" in printed
    assert "ThreadPoolExecutor" in printed


AGAIN = """
import asyncio, os, signal, sys, threading, time
from mezzo.process import daemon
def tell(where):
    if sys.argv[1] == where:
        os.kill(os.getpid(), signal.SIGTERM)
if "AGAIN" in os.environ:
    print("again", flush=True)
    tell("before anything of the new image listens")
async def main():
    if "AGAIN" in os.environ:
        await asyncio.Event().wait()
    os.environ["AGAIN"] = "yes"
    try:
        tell("in the turn of the restart")
        daemon.restart("deposed")
    finally:
        tell("while it cleans up")
        await asyncio.sleep(0)
        tell("while it cleans up for a while")
        await asyncio.to_thread(time.sleep, 0.05)
        # Like one of asyncio's that is joined, and on a busy machine not gone yet.
        threading.Thread(target=time.sleep, args=(0.05,), daemon=True).start()
class Loop(asyncio.SelectorEventLoop):
    def close(self):
        super().close()
        tell("when its loop is closed")
if sys.argv[2] == "asyncio":
    daemon._loop_factory = lambda: Loop
execv = os.execv
def last(*args):
    tell("in the last moment of the old image")
    execv(*args)
os.execv = last
sys.exit(daemon.run(main, name="test"))
"""


@pytest.mark.parametrize(
    ("where", "loop"),
    [
        *itertools.product(
            (
                "in the turn of the restart",
                "while it cleans up",
                "while it cleans up for a while",
                "in the last moment of the old image",
                "before anything of the new image listens",
            ),
            ("uvloop", "asyncio"),
        ),
        ("when its loop is closed", "asyncio"),  # uvloop's can't be told to do so
    ],
)
def test_a_signal_ends_a_process_that_restarts_wherever_it_comes(
    tmp_path: Path, where: str, loop: str
) -> None:
    script = tmp_path / "daemon.py"
    script.write_text(AGAIN)
    done = subprocess.run(
        [sys.executable, script, where, loop], timeout=WITHIN_S, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("again") == (where.endswith("image listens") or "last" in where)


def test_a_signal_at_any_moment_ends_a_process_that_restarts_on_and_on(tmp_path: Path) -> None:
    script = tmp_path / "daemon.py"
    script.write_text(
        "import sys, threading, time\nfrom mezzo.process import daemon\n"
        "async def main():\n"
        "    threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
        "    print(flush=True)\n    daemon.restart('again')\n"
        "sys.exit(daemon.run(main, name='test'))\n"
    )
    for _ in range(3):
        children = [
            subprocess.Popen(
                [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            for _ in range(3)
        ]
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        time.sleep(random.uniform(0.0, 0.5))
        for child in children:
            child.terminate()
        for child in children:
            child.communicate(timeout=WITHIN_S)
            assert child.returncode == 0


def test_the_code_of_main_is_that_of_the_process(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    child = started(DAEMON.replace("await asyncio.Event().wait()", "pass"))
    child.communicate(timeout=WITHIN_S)
    assert child.returncode == 7


@pytest.mark.parametrize(("error", "code"), [("MezzoError", 1), ("BadConfig", 2)])
def test_a_mezzo_error_ends_it_with_a_line_and_without_a_traceback(
    started: Callable[..., subprocess.Popen[str]], error: str, code: int
) -> None:
    raises = f'from mezzo.errors import {error}; raise {error}("no such thing")'
    child = started(DAEMON.replace("await asyncio.Event().wait()", raises))
    printed, _ = child.communicate(timeout=WITHIN_S)
    assert child.returncode == code
    assert "no such thing" in printed
    assert "Traceback" not in printed


def test_a_bug_ends_it_with_its_traceback_also_if_nobody_reads_that(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    script = DAEMON.replace("await asyncio.Event().wait()", "raise KeyError('a bug')")
    child = started(script)
    printed, _ = child.communicate(timeout=WITHIN_S)
    assert child.returncode == 1
    assert "Traceback" in printed
    assert "a bug" in printed
    # A pipe that is full, and a reader that does not read.
    full = "import os\nos.set_blocking(2, False)\n" + (
        "try:\n while True: os.write(2, b'x' * 4096)\nexcept BlockingIOError: pass\n"
        "os.set_blocking(2, True)\n"
    )
    child = started(full + script.replace(", flush=True", "").replace("print(", "repr("))
    assert child.wait(WITHIN_S) == 1


def test_a_daemon_ends_with_its_parent_however_that_ends(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    script = """
import sys, time
from mezzo.process.daemon import Sidecar
child = Sidecar("child", [sys.executable, "-c", CHILD])
child.start()
while child.pid is None: time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(600)
"""
    parent = started(f"CHILD = {DAEMON!r}\n" + script)
    pid = int(first_line(parent))
    assert first_line(parent) == "up"
    parent.kill()
    eventually(lambda: gone(pid), "the child ends too")


def test_a_daemon_whose_parent_is_gone_already_ends_at_once(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    child = started(DAEMON, **{PARENT_VARIABLE: str(dead.pid)})
    child.communicate(timeout=WITHIN_S)
    assert child.returncode == -signal.SIGTERM


def test_a_fresh_start_keeps_pid_and_command_line_and_ends_children(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    child = started(
        '''
import asyncio, os, sys, time
from mezzo.process import daemon
SLEEPER = """
import asyncio
from mezzo.process import daemon
daemon.run(lambda: asyncio.sleep(600), name="sleeper")
"""
async def main():
    sidecar = daemon.Sidecar("sleeper", [sys.executable, "-c", SLEEPER])
    sidecar.start()
    while sidecar.pid is None: time.sleep(0.01)
    print(os.getpid(), sidecar.pid, flush=True)
    if os.environ.get("AGAIN"): time.sleep(600)
    os.environ["AGAIN"] = "yes"
    daemon.restart("deposed")
sys.exit(daemon.run(main, name="test"))
'''
    )
    pid, first = first_line(child).split()
    said = ""  # the log says why
    while not (line := first_line(child)).replace(" ", "").isdigit():
        said += line
    assert "reason=deposed" in said
    again, second = line.split()
    assert pid == again == str(child.pid)
    assert first != second
    assert gone(int(first))
    child.kill()
    os.kill(int(second), signal.SIGKILL)


def test_a_child_that_dies_is_started_again_until_it_is_stopped(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "child.log"
    sidecar = Sidecar("child", [sys.executable, "-c", DAEMON], log_file=log)
    sidecar.start()
    try:
        eventually(lambda: log.exists() and "up" in log.read_text(), "it is up")
        first = sidecar.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        eventually(lambda: sidecar.pid not in (None, first), "it is up again")
        assert sidecar.exit_codes == (-signal.SIGKILL,)
        eventually(lambda: log.read_text().count("up\n") == 2, "it came up twice")
    finally:
        sidecar.stop()
    assert sidecar.pid is None
    assert "cleaned up" in log.read_text()


def test_a_child_that_can_not_be_started_is_tried_again_until_it_can(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()  # as good as a disk that is full, or a lack of processes
    sidecar = Sidecar("late", ["sh", "-c", "echo up; exec sleep 1000"], log_file=log)
    sidecar.start()
    time.sleep(0.1)
    assert sidecar.pid is None
    log.rmdir()
    eventually(lambda: log.is_file() and log.read_text() == "up\n", "it is up")
    sidecar.stop()
    assert sidecar.exit_codes == ()


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "trap '' TERM; echo up; while true; do sleep 1; done"
    sidecar = Sidecar("stubborn", ["sh", "-c", script], log_file=log)
    sidecar.start()
    eventually(lambda: log.exists() and log.read_text() == "up\n", "it is up")
    eventually(lambda: sidecar.pid, "its pid is known")
    eventually(lambda: sidecar.pid, "its pid is known")
    pid = sidecar.pid
    assert pid is not None
    sidecar.stop(grace_s=0.1)
    assert gone(pid)


def test_the_environment_of_a_child_says_who_its_parent_is_only_to_it(tmp_path: Path) -> None:
    """A daemon takes the variable away before it starts anything itself."""
    script = (
        "import os, subprocess\n"
        "from mezzo.process.daemon import follow_parent, PARENT_VARIABLE as p\n"
        "print(os.environ[p], flush=True); follow_parent(); print(p in os.environ, flush=True)"
    )
    log = tmp_path / "log"
    sidecar = Sidecar("child", [sys.executable, "-c", script], log_file=log)
    sidecar.start()
    eventually(lambda: log.exists() and log.read_text().count("\n") >= 2, "it has printed")
    sidecar.stop()
    assert log.read_text().splitlines()[:2] == [str(os.getpid()), "False"]


def test_mezzo_starts_itself_with_the_same_interpreter() -> None:
    done = subprocess.run(cli_command("version"), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mezzo ")


def test_a_folder_of_the_name_in_the_current_directory_is_not_meant(tmp_path: Path) -> None:
    """As in a clone, whose `mezzo/` has no cli in it."""
    (tmp_path / "mezzo").mkdir()
    (tmp_path / "mezzo" / "__init__.py").write_text("raise SystemExit('the wrong one')\n")
    done = subprocess.run(cli_command("version"), cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
