"""A task leaves whatever it likes in its sandbox: nothing of it leads out, blocks, or stays."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzo.agent.container import Mount, Stream
from mezzo.agent.errors import NoLogs, RemovalGivenUp
from mezzo.agent.sandbox import beneath
from mezzo.agent.sandbox.folder import bound_output, make_sandbox, read_output, remove_sandbox
from mezzo.agent.sandbox.volume_folders import link_volumes, remove_volume

NOBODY = 65534
SECRET = b"root:$6$secret"
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT can give files away")


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Whatever blocks is interrupted, and fails."""

    def late(*_: object) -> None:
        raise AssertionError("it blocks")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def tree(path: Path) -> dict[str, object]:
    """All that is there: kind, mode, owner, and content."""
    found: dict[str, object] = {}
    for each in [path, *path.rglob("*")]:
        state = each.lstat()
        content = each.read_bytes() if stat.S_ISREG(state.st_mode) else b""
        found[str(each)] = (state.st_mode, state.st_uid, content)
    return found


class Box:
    """A sandbox of nobody's, and something outside that is not for nobody to see or change."""

    def __init__(self, base: Path) -> None:
        self.sandbox = base / "runs" / "c1"
        self.outside = base / "outside"
        (self.outside / "deep").mkdir(parents=True)
        (self.outside / "shadow").write_bytes(SECRET)
        (self.outside / "shadow").chmod(0o600)
        (self.outside / "deep" / "file").write_bytes(SECRET)
        make_sandbox(str(self.sandbox), "nobody" if os.geteuid() == 0 else None)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def output(box: Box, offset: int = 0) -> bytes:
    return b"".join(read_output(str(box.sandbox), Stream.STDOUT, offset, lambda: False))


# ---------------------------------------------------------------------------------- one by one


def a_link(at: Path, box: Box) -> None:
    at.symlink_to(box.outside / "shadow")


def a_link_to_a_folder(at: Path, box: Box) -> None:
    at.symlink_to(box.outside)


def a_magic_link(at: Path, box: Box) -> None:
    at.symlink_to("/proc/self/environ")


def a_loop(at: Path, box: Box) -> None:
    at.symlink_to(at.name)


def a_pipe(at: Path, box: Box) -> None:
    os.mkfifo(at)


def a_folder(at: Path, box: Box) -> None:
    at.mkdir()


def a_socket(at: Path, box: Box) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(at.parent, os.O_PATH)
        try:  # by a short path: the address of a socket has but 108 bytes
            listener.bind(f"/proc/self/fd/{here}/{at.name}")
        finally:
            os.close(here)


def a_device(at: Path, box: Box) -> None:
    os.mknod(at, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero has no end


def a_hard_link(at: Path, box: Box) -> None:
    os.link(box.outside / "shadow", at)


def a_sparse_file(at: Path, box: Box) -> None:
    with at.open("wb") as file, contextlib.suppress(OSError):  # if this file system has no more
        file.truncate(1 << 40)
    if os.geteuid() == 0:
        os.chown(at, NOBODY, NOBODY)


def a_file(at: Path, box: Box) -> None:
    at.write_bytes(b"mine")
    if os.geteuid() == 0:
        os.chown(at, NOBODY, NOBODY)


FOREIGN: dict[Callable[[Path, Box], None], str] = {
    a_link: "a symbolic link",
    a_link_to_a_folder: "a symbolic link",
    a_magic_link: "a symbolic link",
    a_loop: "a symbolic link",
    a_pipe: "a named pipe",
    a_folder: "a folder",
    a_socket: "a socket",
}
OF_ROOT: dict[Callable[[Path, Box], None], str] = {
    a_device: "a device",
    a_hard_link: "belongs to another user",
}


@pytest.mark.parametrize("make", FOREIGN)
def test_what_is_no_regular_file_is_not_shown_as_output(
    box: Box, make: Callable[[Path, Box], None]
) -> None:
    make(box.sandbox / "stdout", box)
    with at_once(), pytest.raises(NoLogs, match=FOREIGN[make]):
        output(box)


@root_only
@pytest.mark.parametrize("make", OF_ROOT)
def test_what_is_of_others_is_not_shown_as_output(
    box: Box, make: Callable[[Path, Box], None]
) -> None:
    make(box.sandbox / "stdout", box)
    with at_once(), pytest.raises(NoLogs, match=OF_ROOT[make]):
        output(box)


def test_a_sandbox_that_was_replaced_by_a_link_shows_nothing(box: Box) -> None:
    (box.outside / "stdout").write_bytes(SECRET)
    box.sandbox.rmdir()
    box.sandbox.symlink_to(box.outside)
    with pytest.raises(NoLogs):
        output(box)
    before = tree(box.outside)
    remove_sandbox(str(box.sandbox))
    assert tree(box.outside) == before
    assert not box.sandbox.is_symlink()


def test_of_an_endless_file_what_was_written_is_shown(box: Box) -> None:
    a_sparse_file(box.sandbox / "stdout", box)
    size = (box.sandbox / "stdout").stat().st_size
    assert size > 1 << 30
    with at_once():
        assert output(box) == output(box, size) == output(box, 10**18 - 1) == b""
        with (box.sandbox / "stdout").open("ab") as file:
            file.write(b"end")
        assert output(box).strip(b"\0") == b"end"  # a block is the least that is written
        assert output(box, size + 1) == b"nd"


def test_output_is_bounded_beneath_a_program_that_writes_and_readers_that_read(box: Box) -> None:
    a_file(box.sandbox / "stdout", box)
    with (box.sandbox / "stdout").open("ab") as program:
        for number in range(200_000):
            program.write(b"%010d\n" % number)
        program.flush()
        follows = iter([True, False])
        reader = read_output(str(box.sandbox), Stream.STDOUT, 0, lambda: next(follows))
        assert next(reader).startswith(b"mine0000000000\n")
        bound_output(str(box.sandbox), 100_000)
        assert (box.sandbox / "stdout").stat().st_blocks * 512 < 120_000
        program.write(b"more\n")
    read = output(box)
    assert len(read) < 120_000
    assert read.endswith(b"%010d\nmore\n" % 199_999)
    assert b"".join(reader).endswith(read[-50_000:])
    bound_output(str(box.sandbox), 100_000)
    assert output(box).endswith(read[-99_000:])


@pytest.mark.parametrize("make", FOREIGN)
def test_what_is_no_output_is_not_bounded(box: Box, make: Callable[[Path, Box], None]) -> None:
    make(box.sandbox / "stdout", box)
    before = tree(box.outside)
    with at_once():
        bound_output(str(box.sandbox), 1)
    assert tree(box.outside) == before


def test_output_that_grows_while_it_is_read_has_an_end(box: Box) -> None:
    a_file(box.sandbox / "stdout", box)
    read = b""
    for chunk in read_output(str(box.sandbox), Stream.STDOUT, 0, lambda: False):
        read += chunk
        with (box.sandbox / "stdout").open("ab") as file:
            file.write(b"more")
    assert read == b"mine"


def test_output_that_is_cut_off_while_it_is_followed_goes_on_with_what_is_new(box: Box) -> None:
    a_file(box.sandbox / "stdout", box)
    follows = iter([True, True, False])
    chunks = read_output(str(box.sandbox), Stream.STDOUT, 0, lambda: next(follows))
    assert next(chunks) == b"mine"
    os.truncate(box.sandbox / "stdout", 0)
    with (box.sandbox / "stdout").open("ab") as file:
        file.write(b"new")
    assert b"".join(chunks) == b"new"


def test_output_that_nobody_reads_holds_no_file_open(box: Box) -> None:
    a_file(box.sandbox / "stdout", box)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.warns(ResourceWarning):
            read_output(str(box.sandbox), Stream.STDOUT, 0, lambda: False)
    assert len(os.listdir("/proc/self/fd")) == before


# ---------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("make", [a_file, *FOREIGN])
def test_a_file_is_written_in_the_place_of_anything_and_through_nothing(
    box: Box, make: Callable[[Path, Box], None]
) -> None:
    make(box.sandbox / "stdout", box)
    before = tree(box.outside)
    with (
        at_once(),
        beneath.folder(str(box.sandbox)) as at,
        beneath.whole_file(at, "stdout") as file,
    ):
        file.write(b"new")
    assert output(box) == b"new"
    assert os.listdir(box.sandbox) == ["stdout"]
    assert tree(box.outside) == before


def test_a_file_that_is_not_written_whole_is_not_there(box: Box) -> None:
    def write() -> None:
        with beneath.folder(str(box.sandbox)) as at, beneath.whole_file(at, "stdout") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert os.listdir(box.sandbox) == []


def test_a_volume_is_shown_beneath_folders_and_not_through_links(box: Box) -> None:
    volume, other = box.outside / "volume", box.outside / "other"
    volume.mkdir()
    other.mkdir()
    (volume / "out").symlink_to("/tmp")
    sandbox = str(box.sandbox)
    link_volumes([Mount(str(volume), "a/b/data"), Mount(str(other), "other")], sandbox)
    link_volumes([Mount(str(volume), "a/b/data")], sandbox)  # again, after a crash
    assert (box.sandbox / "a/b/data").resolve() == volume
    for place in ("a/b/data/x", "a/b/data/out/x", "other", ".", "a/../../x", "../x", "a"):
        with pytest.raises(OSError, match="give it a place of its own"):
            link_volumes([Mount(str(volume), place)], sandbox)
    assert os.listdir(volume) == ["out"]
    assert not Path("/tmp/x").is_symlink()


# ---------------------------------------------------------------------------------- removing


@pytest.mark.parametrize("depth", [300, 1500])
def test_a_tree_deeper_than_any_stack_and_any_path_is_removed(box: Box, depth: int) -> None:
    at = os.open(box.sandbox, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 20, dir_fd=at)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    remove_sandbox(str(box.sandbox))
    assert not box.sandbox.exists()


def test_the_root_of_a_disk_is_emptied_and_stays(box: Box) -> None:
    (box.sandbox / "a/b").mkdir(parents=True)
    (box.sandbox / "out").symlink_to(box.outside)
    before = tree(box.outside)
    remove_volume(str(box.sandbox), whole=False)
    assert os.listdir(box.sandbox) == []
    assert tree(box.outside) == before
    remove_volume(str(box.sandbox / "gone"), whole=True)


@root_only
def test_what_is_mounted_in_a_sandbox_is_not_emptied(box: Box) -> None:
    """A bind mount of the same file system: no device number tells it."""
    inside = box.sandbox / "d/mounted"
    inside.mkdir(parents=True)
    (box.sandbox / "file").touch()
    before = tree(box.outside)
    if os.spawnlp(os.P_WAIT, "mount", "mount", "--bind", str(box.outside), str(inside)) != 0:
        pytest.skip("NOTHING CAN BE MOUNTED here")
    try:
        with pytest.raises(OSError, match=r"busy|mount"):
            remove_sandbox(str(box.sandbox))
        assert tree(box.outside) == before
        assert not (box.sandbox / "file").exists()  # all else is gone
    finally:
        os.spawnlp(os.P_WAIT, "umount", "umount", "-l", *map(str, mounted(box)))
    remove_sandbox(str(box.sandbox))
    assert not box.sandbox.exists()
    assert tree(box.outside) == before


def mounted(box: Box) -> Iterator[Path]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(line.split()[4])
        if box.sandbox in point.parents:
            yield point


# ---------------------------------------------------------------------------------- all of it

ANYTHING = [a_file, a_sparse_file, *FOREIGN, *(OF_ROOT if os.geteuid() == 0 else ())]
NAMES = ["stdout", "stderr", "a", "b", "-rf", "é", "\udcff", "x" * 255, "new\nline"]
things = st.tuples(
    st.lists(st.sampled_from(NAMES), max_size=4),
    st.sampled_from(NAMES),
    st.sampled_from(ANYTHING),
    st.sampled_from([None, 0o000, 0o400, 0o777, 0o2755, 0o1000]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(things, max_size=12))
def test_nothing_leaves_nothing_blocks_and_nothing_outside_changes(
    plan: list[tuple[list[str], str, Callable[[Path, Box], None], int | None]],
) -> None:
    with tempfile.TemporaryDirectory() as folder, at_once():
        box = Box(Path(folder))
        made = []
        for parents, name, make, mode in plan:
            at = box.sandbox.joinpath(*parents, name)
            with contextlib.suppress(OSError):  # something else is there, or no folder
                if any(p.is_symlink() for p in at.parents if box.sandbox in p.parents):
                    continue  # what a task does outside is its user's, not ours
                if os.path.lexists(at):
                    continue  # nor is what it does through a link
                at.parent.mkdir(parents=True, exist_ok=True)
                make(at, box)
                if mode is not None and make not in OF_ROOT and not at.is_symlink():
                    made.append((at, mode))
        for at, mode in made:
            with contextlib.suppress(OSError):
                at.chmod(mode)
        before = tree(box.outside)
        for stream, offset in itertools.product(Stream, (0, 3)):
            with contextlib.suppress(NoLogs):
                first = next(read_output(str(box.sandbox), stream, offset, lambda: False), b"")
                assert SECRET[offset:] not in first
        with contextlib.suppress(OSError):
            link_volumes([Mount(str(box.outside / "deep"), "a/b/stdout")], str(box.sandbox))
        with beneath.folder(str(box.sandbox)) as here, beneath.whole_file(here, "stdout") as file:
            file.write(b"saved")
        assert output(box) == b"saved"
        remove_sandbox(str(box.sandbox))
        assert not box.sandbox.exists()
        assert tree(box.outside) == before


def test_a_tree_that_two_remove_at_a_time_is_removed(tmp_path: Path) -> None:
    """An agent that was told to end still removes it when the next one begins to."""
    top = tmp_path / "sandbox"
    for number in range(150):
        (top / f"{number}" / "a" / "b").mkdir(parents=True)
    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(beneath.remove_tree, str(top)) for _ in range(2)]:
            done.result(timeout=60)
    assert not top.exists()


def test_a_removal_that_may_not_go_on_ends_at_once_and_the_next_one_does_the_rest(
    tmp_path: Path,
) -> None:
    """A task leaves as much as it likes, and an agent has to end in time."""
    top = tmp_path / "sandbox"
    for number in range(20):
        (top / f"{number}" / "a").mkdir(parents=True)
        (top / f"{number}" / "file").touch()
    for steps in range(60):
        asked = itertools.count()
        with contextlib.suppress(RemovalGivenUp):
            beneath.remove_tree(str(top), go_on=lambda: next(asked) < steps)  # noqa: B023 - it is over
        assert next(asked) <= steps + 1
        assert top.exists() or steps > 10
    beneath.remove_tree(str(top))
    assert not top.exists()
