"""Contexts: where clusters are, so that commands find them without being told.

`mezzo up` writes its own twice while it runs: among the contexts of the user, where commands find
it by its name, which it claims before it starts anything; and, once the cluster is ready, into its
folder, for commands that are given in the folder above or anywhere below that. The first of these
counts: the option that names a server, `mezzo --context`, the variable that names a server,
MEZZO_CONTEXT, the folder's context, the one of `mezzo context use`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

import click
import msgspec
from click.core import ParameterSource

from mezzo.errors import BadConfig
from mezzo.flags import Written
from mezzo.guess import near
from mezzo.process.settings import LEADER
from mezzo.record import Record

from ..option_types import typed
from ..setting_options import Setting, setting
from ..words.errors import Failed, Unreachable, Wrong
from ..words.output import warn

VARIABLE: Final = "MEZZO_CONTEXT"
FOLDER: Final = ".mezzo"  # the default of `mezzo up --dir`
LOCK: Final = "up.lock"  # in a cluster's folder; locked as long as its `mezzo up` runs
_FILE: Final = "context.json"
_CHOSEN: Final = "chosen"  # holds the name of `mezzo context use`
_CLAIMING: Final = "claiming.lock"  # locked for the moment in which a name is chosen
_CLAIM_TRIES: Final = 100
_CLAIM_EVERY_S: Final = 0.05
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_MAX_BYTES: Final = 64 * 1024

Part = Literal["marathon", "gateway", "master"]


class Context(Record):
    """Where the servers of one cluster are. directory: absolute, that of its `mezzo up`."""

    name: str
    directory: str
    marathon: str
    gateway: str
    master: str

    @property
    def runs(self) -> bool:
        return _locked(Path(self.directory, LOCK))


class Found(NamedTuple):
    context: Context
    source: str  # why it counts: "--context", "MEZZO_CONTEXT", ...


# ---------------------------------------------------------------------------------- writing


def claim(
    directory: Path, wanted: str | None, *, marathon: str, gateway: str, master: str
) -> tuple[Context, str | None]:
    """Enter the cluster of `directory`, whose `mezzo up` holds its lock, among those of the user:
    under the name `wanted`, else after its folder. From then on no other that runs gets that name.

    Also returns why it can't be found by its name, if it can't. Raises Wrong if another that runs
    has the name that is wanted, Failed if another claims one for too long.
    """
    where = {"marathon": marathon, "gateway": gateway, "master": master}
    withdraw(directory)  # what a run that was killed has left
    try:
        registry = _registry()
        registry.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _claiming(registry):
            for old in registered():
                if not Path(old.directory).is_dir():
                    (registry / f"{old.name}.json").unlink(missing_ok=True)
            context = Context(_name(directory, wanted), str(directory), **where)
            _write(registry / f"{context.name}.json", _shown(context))
    except OSError as error:
        why = f"{error.filename or _registry()}: {error.strerror}"
        return Context(_name(directory, wanted), str(directory), **where), why
    return context, None


@contextlib.contextmanager
def _claiming(registry: Path) -> Iterator[None]:
    """One claim at a time: between the look at the names and the entry nobody else takes one."""
    lock = os.open(registry / _CLAIMING, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        for tries_left in reversed(range(_CLAIM_TRIES)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not tries_left:
                    raise Failed(
                        f"another `mezzo up` holds {registry / _CLAIMING} and does not go on: end "
                        "it, and try again"
                    ) from None
                time.sleep(_CLAIM_EVERY_S)
            else:
                break
        yield
    finally:
        os.close(lock)


def _name(directory: Path, wanted: str | None) -> str:
    """The name `wanted`, else that of a folder. Raises Wrong."""
    taken = {each.name: each for each in registered() if each.directory != str(directory)}
    if wanted is not None:
        check_name(wanted)
        if (holder := taken.get(wanted)) is not None and holder.runs:
            raise Wrong(
                f"the cluster in {holder.directory} is called {wanted}: choose another --name"
            )
        return wanted
    folder = directory.parent if directory.name == FOLDER else directory
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).strip("-._")[:50] or "mezzo"
    running = {name for name, each in taken.items() if each.runs}
    names = (base, *(f"{base}-{number}" for number in range(2, len(running) + 3)))
    return next(name for name in names if name not in running)


def publish(context: Context) -> None:
    """Write the context into its folder: commands given there mean it from now. Raises OSError."""
    _write(Path(context.directory, _FILE), _shown(context))


def _shown(context: Context) -> bytes:
    return msgspec.json.format(msgspec.json.encode(context)) + b"\n"


def withdraw(directory: Path) -> None:
    """Remove what was claimed and published for the cluster there, by this or an earlier run."""
    (directory / _FILE).unlink(missing_ok=True)
    forget_name(directory)


def forget_name(directory: Path) -> None:
    """The cluster there has ended. Its folder still tells: a command given there must not mean
    another cluster, but say that this one does not run."""
    for each in registered():
        if each.directory == str(directory):
            (_registry() / f"{each.name}.json").unlink(missing_ok=True)


def choose(name: str | None) -> None:
    """`mezzo context use`. Raises Wrong for a name that nothing has."""
    if name is None:
        (_registry() / _CHOSEN).unlink(missing_ok=True)
        return
    _write(_registry() / _CHOSEN, by_name(name).name.encode())


def _write(path: Path, data: bytes) -> None:
    """Write a file, all or nothing, for nobody else's eyes."""
    number, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


# ---------------------------------------------------------------------------------- finding


def current(ctx: click.Context) -> Found | None:
    """The context that counts; None: none is known. Raises Wrong, Unreachable."""
    root = ctx.find_root()
    if (name := root.params.get("context")) is not None:
        by_flag = root.get_parameter_source("context") is ParameterSource.COMMANDLINE
        return Found(by_name(name), "--context" if by_flag else VARIABLE)
    return _of_this_folder() or _chosen()


def _of_this_folder() -> Found | None:
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return None  # it was removed while somebody was in it
    return of_folder(here)


def of_folder(start: Path) -> Found | None:
    """The context of the nearest folder, from `start` upwards, that a cluster was started in."""
    for folder in (start, *start.parents):
        path = folder / FOLDER / _FILE
        if (context := _read(path)) is not None:
            return Found(context, str(path))
    return None


def by_name(name: str) -> Context:
    """Raises Wrong."""
    check_name(name)
    found = _registered(name)
    if found is None:
        known = [each.name for each in registered()]
        raise Wrong(
            f"there is no context {name!r}{near(name, known)} (`mezzo context list` shows all)"
        )
    return found


def registered() -> list[Context]:
    """All contexts of this user, by name."""
    try:
        paths = sorted(_registry().glob("*.json"))
    except OSError:
        return []
    return [found for path in paths if (found := _read(path)) is not None]


def check_name(name: str) -> None:
    """Raises Wrong."""
    if _NAME.fullmatch(name) is None:
        raise Wrong(
            f"{name!r} can't be the name of a context: use letters, digits, - and ., at most 63"
        )


def _registered(name: str) -> Context | None:
    return _read(_registry() / f"{name}.json")


def _chosen() -> Found | None:
    try:
        name = (_registry() / _CHOSEN).read_text()
    except (OSError, ValueError):
        return None
    found = _registered(name) if _NAME.fullmatch(name) else None
    return None if found is None else Found(found, "mezzo context use")


def _registry() -> Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    home = Path(state) if state.startswith("/") else _home() / ".local" / "state"
    return home / "mezzo" / "contexts"


def _home() -> Path:
    """The user's home; in containers without one the root."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def _read(path: Path) -> Context | None:
    """The context in a file; None if there is none, or none to be trusted: that is told."""
    try:
        return _parsed(_bytes(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        why = error.strerror or str(error)
    except (msgspec.DecodeError, BadConfig, _Untrusted) as error:
        why = str(error)
    warn(f"the context in {path} is not used: {why}")
    return None


def _bytes(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        # Where others can write, in /tmp say, they could lead our commands to a cluster of theirs.
        if status.st_uid not in (os.geteuid(), 0):
            raise _Untrusted("it belongs to another user")
        if not stat.S_ISREG(status.st_mode):
            raise _Untrusted("it is no file")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _Untrusted("others can write to it: chmod go-w")
        return file.read(_MAX_BYTES)


def _parsed(data: bytes) -> Context:
    context = msgspec.json.decode(data, type=Context)
    URL.parse(context.marathon)
    URL.parse(context.gateway)
    LEADER.parse(context.master)
    where = context.directory
    if _NAME.fullmatch(context.name) is None or not where.startswith("/") or "\0" in where:
        raise _Untrusted("it names no cluster")
    return context


class _Untrusted(ValueError):
    """Why a file is passed over."""


def _locked(path: Path) -> bool:
    """Does somebody hold the lock? Our look disturbs nobody who tries twice."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # not for us to know
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


# ---------------------------------------------------------------------------------- options


class _Where(Setting):
    """An option that says where a server is. Without it and its variables the context does."""

    @property
    def part(self) -> Part:
        name: Part = self.name  # type: ignore[assignment] # there are three of these
        return name

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        source = ctx.find_root().get_parameter_source("context")
        # A flag wins over a variable, whatever the flag is.
        return None if source is ParameterSource.COMMANDLINE else super().resolve_envvar_value(ctx)

    def get_default(self, ctx: click.Context, call: bool = True) -> object:
        default = super().get_default(ctx, call)
        if not call or ctx.resilient_parsing:  # for the help
            return default
        found = current(ctx)
        if found is None:
            return default
        context, source = found
        if not context.runs:
            raise Unreachable(
                f"the cluster {context.name} does not run any more (chosen by {source}): start it "
                f"again with `mezzo up --dir {context.directory}`, or name another with --context, "
                f"{self.opts[0]} or {self.variables(ctx.command)[1]}"
            )
        where: str = getattr(context, self.part)
        return where


def _url(text: str) -> str:
    """`http://host:port` or `host:port`; no slash at its end."""
    full = text.rstrip("/") if "://" in text else f"http://{text.rstrip('/')}"
    try:
        parts = urlsplit(full)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        fits = fits and full.isascii() and full.isprintable() and " " not in full
    except ValueError:
        fits = False
    if not fits:
        raise BadConfig(f"{text!r} is no address: write http://host:port")
    return full


URL: Final = Written("url", _url)

marathon_option = setting(
    "--marathon",
    cls=_Where,
    type=typed(URL),
    default="http://127.0.0.1:8080",
    help="Where Marathon is, if no context says it.",
)
gateway_option = setting(
    "--gateway",
    cls=_Where,
    type=typed(URL),
    default="http://127.0.0.1:5050",
    help="Where a gateway is, if no context says it.",
)
master_option = setting(
    "--master",
    cls=_Where,
    type=typed(LEADER),
    default="127.0.0.1:5055",
    help="Where the leading master is, if no context says it: host:port, "
    "zk://host:port,host:port/path or solo:/path/of/lock.",
)


def contexts() -> Iterator[Context]:
    """The contexts by name, then the one of this folder, if it has no such entry."""
    known = registered()
    yield from known
    here = _of_this_folder()
    if here is not None and here.context not in known:
        yield here.context
