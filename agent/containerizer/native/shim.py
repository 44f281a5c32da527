"""The keeper of one process task. It outlives the agent, so that the task does.

    python -I -S shim.py RUN_DIR READY_FD < TASK

TASK is JSON: {"program": "", "argv": [], "env": {}, "user": "", "sandbox": "", "cgroup": "",
"lease_s": null, "lease_file": ""}. With a number as `lease_s` the program is killed so many seconds
after the uptime of the machine that `lease_file` tells, which the agent writes as long as it hears
from a master.

It runs the program in the sandbox, in a session of its own, and in the control group if one is
named. Whatever leaves that session is given to this shim when its parent ends, so nothing of the
task outlives the program, and nothing leaves unseen. In RUN_DIR lies what an agent needs to find
the task again:

lock   held as long as this shim lives; the kernel lets go of it, whatever ends the shim
pid    JSON: the shim's and the program's process ids, and when the latter started; written before
       the program's first instruction, so that none runs of which nobody knows
exit   JSON: {"code": n}, {"signal": n} or {"error": text}; written whole or not at all

If nobody holds `lock` and there is neither `pid` nor `exit`, the task has never run. A second
shim for the same RUN_DIR does nothing: a task never runs twice.

`shim.py --beside < TASK` runs a check beside a task, as the same user, in the same control group,
ends with its status, and lets nothing of it live on. SIGTERM ends both.

Only the standard library, and little of it: the start of this file is on the path of every launch.
"""

import fcntl
import json
import os
import signal
import stat
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
# What Python, or the shell that has started the agent, may have left to be ignored. A program
# would inherit that: `yes | head` would complain instead of ending.
_IGNORED_SIGNALS = (*ENDING_SIGNALS, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ)
_GO = b"go"
_RESERVED_BYTES = 4096  # for a status or the text of an error


def write_whole(path: str, text: str) -> None:
    """All or nothing. Not synced: after a power failure the agent asks no shim any more."""
    # Into the place that `reserve` may have taken, which is not given back before.
    with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT, 0o644), "w") as file:
        file.write(text)
        file.truncate()
    os.rename(path + ".new", path)


def reserve(path: str) -> None:
    """Take what `write_whole` needs of the disk: by then its program may have filled it."""
    with open(path + ".new", "w") as file:
        file.write(" " * _RESERVED_BYTES)


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


def kill_all(
    belongs: "Callable[[list[str]], bool]", bury: "Callable[[int], bool]" = lambda _: False
) -> None:
    """SIGKILL every process whose `process_stat` belongs, until none is alive, for 5 s at most.

    bury: reap one that has ended; False if it is not ours to be reaped.
    """
    found, rounds = True, 500
    while found and rounds:
        found, rounds = False, rounds - 1
        for name in os.listdir("/proc"):
            state = process_stat(int(name)) if name.isdigit() else None
            if state is None or not belongs(state):
                continue
            if state[0] in "ZX":
                # Looked at once more if it is ours: the last thing it did may have been to fork.
                found = bury(int(name)) or found
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

    def bury(pid: int) -> bool:
        if pid == session:
            return False  # its number is to stay taken for a while
        try:
            return os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            return False

    kill_all(lambda stat: int(stat[3]) == session or int(stat[1]) == me, bury)


def adopt_orphans() -> None:
    """From now on we are the parent of every descendant whose own one ends: none escapes us."""
    try:
        # What ctypes is made of: thirty times sooner there than all of it.
        import _ctypes

        libc = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # as ctypes does
        _ctypes.call_function(_ctypes.dlsym(libc, "prctl"), (PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    except (ImportError, AttributeError):  # another Python than CPython
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_cgroup(path: str) -> bool:
    """SIGKILL all that is in the control group, however fast it forks, for 5 s at most; remove it.

    False if something is left of it.
    """
    rounds = 500
    while rounds and os.path.isdir(path):
        rounds -= 1
        groups = [group for group, _, _ in os.walk(path, topdown=False)]
        try:
            _kill_in(path, groups)
            for group in groups:
                os.rmdir(group)
        except OSError:
            time.sleep(0.01)  # what has been killed is in it for a moment more
    if os.path.isdir(path):
        return False
    remove_empty_groups(os.path.dirname(path))
    return True


def remove_empty_groups(path: str) -> None:
    """Remove this group, and then those above it, as long as nothing is in them."""
    try:
        while True:
            os.rmdir(path)
            path = os.path.dirname(path)
    except OSError:
        pass  # others are in there


def _kill_in(path: str, groups: "list[str]") -> None:
    """The kernel kills all at once, or they are frozen first, since a frozen one can't fork."""
    if os.path.exists(path + "/cgroup.kill"):
        _write(path + "/cgroup.kill", "1")
        return
    old = os.path.exists(path + "/freezer.state")  # version 1
    file = path + ("/freezer.state" if old else "/cgroup.freeze")
    _write(file, "FROZEN" if old else "1")
    for group in groups:
        with open(group + "/cgroup.procs") as members:
            for pid in members.read().split():
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass  # it ended by itself
    _write(file, "THAWED" if old else "0")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def lease_left_s(lease_s: float, lease_file: str) -> float:
    """The time left of a lease; none if nobody knows."""
    try:
        with open(lease_file) as file:
            renewed = float(file.read())
    except (OSError, ValueError):
        return 0.0
    return renewed + lease_s - time.clock_gettime(time.CLOCK_BOOTTIME)


def keep_lease(pid: int, lease_s: float, lease_file: str) -> None:
    """Have the program killed when its lease is over. A living agent is sooner, and more polite."""

    alarm_in = boottime_alarm()

    def look(*_: object) -> None:
        left = lease_left_s(lease_s, lease_file)
        if left > 0:
            alarm_in(left)
        else:
            os.kill(pid, signal.SIGKILL)  # its family follows as after any end

    signal.signal(signal.SIGALRM, look)
    look()


def boottime_alarm() -> "Callable[[float], None]":
    """Something that asks for a SIGALRM in so many seconds, those counted that the machine sleeps.

    setitimer(2) and its like do not count these.
    """
    import ctypes  # slow, but only unique tasks need it, and by now they run

    class Timespec(ctypes.Structure):
        _fields_ = [("s", ctypes.c_long), ("ns", ctypes.c_long)]

    class Itimerspec(ctypes.Structure):
        _fields_ = [("interval", Timespec), ("value", Timespec)]

    libc = ctypes.CDLL(None, use_errno=True)
    timer = ctypes.c_void_p()
    if libc.timer_create(time.CLOCK_BOOTTIME, None, ctypes.byref(timer)) != 0:
        raise OSError(ctypes.get_errno(), "timer_create")

    def alarm_in(seconds: float) -> None:
        # A century is enough, and what nobody's time_t overflows.
        nanoseconds = max(1, int(min(seconds, 3e9) * 1e9))
        spec = Itimerspec(Timespec(0, 0), Timespec(*divmod(nanoseconds, 1_000_000_000)))
        if libc.timer_settime(timer, 0, ctypes.byref(spec), None) != 0:
            raise OSError(ctypes.get_errno(), "timer_settime")

    return alarm_in


def wait_for(pid: int) -> "os.waitid_result":
    """Wait until the process ends, burying orphans meanwhile. It itself is not reaped."""
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


def open_output(name: str, at: int) -> int:
    """Open an output to append to, in the sandbox, where the task's user may write, too.

    Never blocks and follows no link. Raises OSError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    guards = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    output = os.open(name, flags | guards, 0o644, dir_fd=at)
    if not stat.S_ISREG(os.fstat(output).st_mode):
        raise OSError(0, "it is no regular file", name)
    os.set_blocking(output, True)
    return output


def heed_signals() -> None:
    """Signals as a program expects them at its start. An agent blocks those that end it."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in _IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def spawn(task: "dict[str, Any]", note: "Callable[[int], None]") -> int:
    """Start the program; its pid once it is executing. Raises OSError if it can't be.

    note: called with the pid before the first instruction of the program, which may end us with it.
    """
    program, user, sandbox = task["program"], task["user"], task["sandbox"]
    failed, report = os.pipe()  # closed by a successful exec, else it brings the error
    told, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(go)
            os.setsid()
            if task["cgroup"]:
                _write(task["cgroup"] + "/cgroup.procs", "0")
            heed_signals()
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            if user:
                become(user)
            home = os.open(sandbox, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            for number, name in ((1, "stdout"), (2, "stderr")):
                os.dup2(open_output(name, home), number)
            os.fchdir(home)
            if os.read(told, len(_GO)) == _GO:  # else there is nobody who would keep us
                os.execvpe(program, task["argv"], task["env"])
        except KeyError:
            os.write(report, f"user {user!r} is unknown on this machine".encode("utf-8", "replace"))
        except OSError as error:
            text = f"{os.fsdecode(error.filename or program)}: {error.strerror}"
            os.write(report, text.encode("utf-8", "replace"))
        except Exception as error:  # noqa: BLE001 - silence would mean that it runs
            os.write(report, f"{program}: {error}".encode("utf-8", "replace"))
        finally:
            os._exit(127)
    os.close(report)
    os.close(told)
    note(pid)
    try:
        os.write(go, _GO)
    except BrokenPipeError:
        pass  # it has failed already
    os.close(go)
    with open(failed, "rb") as pipe:
        message = pipe.read()
    if message:
        os.waitpid(pid, 0)
        raise OSError(message.decode("utf-8", "replace"))
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
    adopt_orphans()  # before there is one

    def note(pid: int) -> None:
        process = {"shim": os.getpid(), "pid": pid, "start_ticks": start_ticks(pid)}
        write_whole(pid_file, json.dumps(process))

    try:
        reserve(exit_file)
        pid = spawn(task, note)
    except OSError as error:
        if task["cgroup"]:
            end_cgroup(task["cgroup"])
        os.write(ready, str(error).encode())  # first: for the file there may be no space
        write_whole(exit_file, json.dumps({"error": str(error)}))
        return NOT_STARTED
    try:
        os.write(ready, STARTED)
    except BrokenPipeError:
        pass  # the agent has gone; the next one finds the pid file
    os.close(ready)
    # Not reaped before the exit file is there: until then nobody else can get its pid.
    if task["lease_s"] is not None:
        keep_lease(pid, task["lease_s"], task["lease_file"])
    ended = wait_for(pid)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    if task["cgroup"]:
        end_cgroup(task["cgroup"])
    kill_family(pid)
    how = "code" if ended.si_code == os.CLD_EXITED else "signal"
    write_whole(exit_file, json.dumps({how: ended.si_status}))
    os.waitpid(pid, 0)
    return 0


def beside() -> int:
    """Run a check; its exit status, or 128 and the signal that ended it, as shells say."""
    task = json.load(sys.stdin)
    adopt_orphans()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            heed_signals()
            if task["cgroup"]:
                _write(task["cgroup"] + "/cgroup.procs", "0")
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            if task["user"]:
                become(task["user"])
            os.chdir(task["sandbox"])
            os.execvpe(task["program"], task["argv"], task["env"])
        finally:
            os._exit(127)

    def give_up(*_: object) -> None:
        kill_family(pid)

    signal.signal(signal.SIGTERM, give_up)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    ended = wait_for(pid)
    kill_family(pid)
    return ended.si_status + (0 if ended.si_code == os.CLD_EXITED else 128)


if __name__ == "__main__":
    sys.exit(beside() if sys.argv[1] == "--beside" else main(sys.argv[1], int(sys.argv[2])))
