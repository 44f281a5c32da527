"""The keeper of one process task. It outlives the agent, so that the task does.

    python -I -S shim.py RUN_DIR READY_FD < TASK

TASK is JSON: {"program": "", "argv": [], "env": {}, "user": "", "sandbox": "", "lease_s": null,
"lease_file": ""}. With a number as `lease_s` the program is killed so many seconds after the uptime
of the machine that `lease_file` tells, which the agent writes as long as it hears from a master.

It runs the program in the sandbox, in a session of its own, and leaves in RUN_DIR what an agent
needs to find the task again:

lock   held as long as this shim lives; the kernel lets go of it, whatever ends the shim
pid    JSON: the shim's and the program's process ids, and when the latter started
exit   JSON: {"code": n}, {"signal": n} or {"error": text}; written whole or not at all

Who holds no `lock` and finds neither `pid` nor `exit` knows that the task has never run. A second
shim for the same RUN_DIR does nothing: a task never runs twice.

With `--as USER PROGRAM ARGV...` instead it becomes that user and then the program: a check beside
the task.

Only the standard library, and little of it: the start of this file is on the path of every launch.
"""

import fcntl
import json
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself takes too long to import
    from collections.abc import Callable
    from typing import Any

STARTED = b"started"  # what READY_FD gets, or the text of the error
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
ALREADY_RAN = 3  # exit status of a second shim
NOT_STARTED = 4  # exit status: the program could not be started
ENDING_SIGNALS: "tuple[signal.Signals, ...]" = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def write_whole(path: str, text: str) -> None:
    """All or nothing. Not synced: after a power failure the agent asks no shim any more."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def lock_held(lock: int) -> bool:
    """True if another process has this lock file locked; else we have it now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def process_stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, from the state on; None if there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: tells a pid from its reuse."""
    stat = process_stat(pid)
    return None if stat is None else int(stat[19])


def kill_all(belongs: "Callable[[list[str]], bool]") -> None:
    """SIGKILL every process whose `process_stat` belongs, until none is alive, for 5 s at most."""
    found, rounds = True, 500
    while found and rounds:
        found, rounds = False, rounds - 1
        for name in os.listdir("/proc"):
            stat = process_stat(int(name)) if name.isdigit() else None
            if stat is None or stat[0] in "ZX" or not belongs(stat):
                continue
            try:
                os.kill(int(name), signal.SIGKILL)
            except ProcessLookupError:
                pass  # it ended by itself
            except PermissionError:
                continue  # it has become another user, by sudo say: out of our reach
            found = True
        if found:
            time.sleep(0.01)


def kill_session(session: int) -> None:
    """Everything of the session that this process led."""
    kill_all(lambda stat: int(stat[3]) == session)


def kill_family(session: int) -> None:
    """Everything of the program's session, and what has left it but was given to us to raise."""
    me = os.getpid()
    kill_all(lambda stat: int(stat[3]) == session or int(stat[1]) == me)


def adopt_orphans() -> None:
    """From now on we are the parent of every descendant whose own one ends: none escapes us."""
    import ctypes  # takes longer to import than all the rest: so only once the program runs

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def lease_left(lease_s: float, lease_file: str) -> float:
    """Seconds; none are left if nobody knows."""
    try:
        with open(lease_file) as file:
            renewed = float(file.read())
    except (OSError, ValueError):
        return 0.0
    return renewed + lease_s - time.clock_gettime(time.CLOCK_BOOTTIME)


def keep_lease(pid: int, lease_s: float, lease_file: str) -> None:
    """Have the program killed when its lease is over. A living agent is sooner, and more polite."""

    def look(*_: object) -> None:
        left = lease_left(lease_s, lease_file)
        if left > 0:
            signal.setitimer(signal.ITIMER_REAL, left)
        else:
            os.kill(pid, signal.SIGKILL)  # its family follows as after any end

    signal.signal(signal.SIGALRM, look)
    look()


def wait_for(pid: int) -> "os.waitid_result":
    """Wait until it ends, burying orphans meanwhile. It itself is not reaped."""
    while True:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        if ended.si_pid == pid:
            return ended
        os.waitpid(ended.si_pid, 0)


def become(user: str) -> None:
    """Take the identity of a user of this machine, groups and all. Raises KeyError, OSError."""
    import pwd

    entry = pwd.getpwnam(user)
    if os.geteuid() == entry.pw_uid:
        return
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def spawn(task: "dict[str, Any]") -> int:
    """Start the program; its pid once it is executing. Raises OSError if it can't be."""
    program, user, sandbox = task["program"], task["user"], task["sandbox"]
    failed, report = os.pipe()  # closed by a successful exec, else it brings the error
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            for ending in ENDING_SIGNALS:
                signal.signal(ending, signal.SIG_DFL)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            if user:
                become(user)
            for number, name in ((1, "stdout"), (2, "stderr")):
                path = os.path.join(sandbox, name)
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
            os.chdir(sandbox)
            os.execvpe(program, task["argv"], task["env"])
        except KeyError:
            os.write(report, f"user {user!r} is unknown on this machine".encode())
        except OSError as error:
            os.write(report, f"{error.filename or program}: {error.strerror}".encode())
        finally:
            os._exit(127)
    os.close(report)
    with open(failed, "rb") as pipe:
        message = pipe.read()
    if message:
        os.waitpid(pid, 0)
        raise OSError(message.decode())
    return pid


def main(run_dir: str, ready: int) -> int:
    os.set_inheritable(ready, False)
    task = json.load(sys.stdin)
    lock = os.open(os.path.join(run_dir, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    pid_file, exit_file = os.path.join(run_dir, "pid"), os.path.join(run_dir, "exit")
    tries = 20  # an agent that looks after the lock has it for a moment
    while lock_held(lock):
        tries -= 1
        if not tries:
            return ALREADY_RAN
        time.sleep(0.005)
    if os.path.exists(pid_file) or os.path.exists(exit_file):
        return ALREADY_RAN
    for ending in ENDING_SIGNALS:  # the task is stopped, not its keeper
        signal.signal(ending, signal.SIG_IGN)
    try:
        pid = spawn(task)
    except OSError as error:
        write_whole(exit_file, json.dumps({"error": str(error)}))
        os.write(ready, str(error).encode())
        return NOT_STARTED
    process = {"shim": os.getpid(), "pid": pid, "start_ticks": start_ticks(pid)}
    write_whole(pid_file, json.dumps(process))
    try:  # noqa: SIM105 - contextlib takes too long to import
        os.write(ready, STARTED)
    except BrokenPipeError:
        pass  # the agent has gone; the next one finds the pid file
    os.close(ready)
    adopt_orphans()
    # Not reaped before the exit file is there: until then nobody else can get its pid.
    if task["lease_s"] is not None:
        keep_lease(pid, task["lease_s"], task["lease_file"])
    ended = wait_for(pid)
    signal.setitimer(signal.ITIMER_REAL, 0)
    kill_family(pid)
    how = "code" if ended.si_code == os.CLD_EXITED else "signal"
    write_whole(exit_file, json.dumps({how: ended.si_status}))
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "--as":  # no keeper: only become another user and then the program
        become(sys.argv[2])
        os.execvp(sys.argv[3], sys.argv[4:])
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
