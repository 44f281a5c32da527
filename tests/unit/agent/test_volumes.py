"""The folders of volumes on a real file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from mezzo.agent.container import Mount
from mezzo.agent.sandbox.volume_folders import (
    check_volumes,
    link_volumes,
    make_volume,
    remove_volume,
)


def fill(folder: Path) -> Path:
    """With a file, a folder, and a link to what must stay; that one."""
    outside = folder.with_name("outside")
    outside.mkdir()
    (outside / "file").touch()
    make_volume(str(folder))
    (folder / "file").touch()
    (folder / "sub").mkdir()
    (folder / "sub" / "file").touch()
    (folder / "link").symlink_to(outside)
    (folder / "sub" / "link").symlink_to(outside)
    return outside / "file"


@pytest.mark.parametrize("whole", [True, False])
def test_a_removed_volume_takes_its_data_along_and_nothing_else(
    tmp_path: Path, whole: bool
) -> None:
    folder = tmp_path / "a/volume"
    (tmp_path / "a").mkdir()
    stays = fill(folder)
    remove_volume(str(folder), whole=whole)
    assert stays.exists()
    assert folder.exists() is not whole
    assert whole or not list(folder.iterdir())
    remove_volume(str(folder), whole=whole)


def test_a_volume_that_is_there_is_made_again_without_harm(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    make_volume(str(folder))
    (folder / "file").touch()
    make_volume(str(folder))
    assert (folder / "file").exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=f"{tmp_path}/gone of the persistent volume at data is miss"):
        check_volumes((Mount(f"{tmp_path}/gone", "data"),), None)
    check_volumes((Mount(str(tmp_path), "data"),), None)


def test_a_process_finds_its_volume_by_a_link_which_replaces_nothing(tmp_path: Path) -> None:
    volume, sandbox = tmp_path / "volume", tmp_path / "sandbox"
    volume.mkdir()
    sandbox.mkdir()
    mounts = (Mount(str(volume), "deep/data"),)
    link_volumes(mounts, str(sandbox))
    link_volumes(mounts, str(sandbox))  # a launch that is done again
    assert (sandbox / "deep/data").resolve() == volume
    with pytest.raises(FileExistsError):
        link_volumes((Mount(str(tmp_path), "deep/data"),), str(sandbox))
