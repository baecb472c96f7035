"""Starting, stopping, and what a server looks like from outside."""

import os
import signal
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from stoa.db import embedded
from stoa.db.embedded import EmbeddedConfig, folders
from stoa.db.keyring import KeyRing, KeyRingMissing
from stoa.db.roles import dsn_for
from tests.db.embedded.conftest import BY_MAJOR, NOBODY, OLDEST_AND_NEWEST, Launched, eventually, is_gone, ordinary_user

AS_ROOT = os.geteuid() == 0
ACCOUNTS = ("root", "ordinary user") if AS_ROOT else ("ordinary user",)


@pytest.mark.parametrize("major", OLDEST_AND_NEWEST)
async def test_an_ephemeral_server_serves_and_leaves_nothing(major: int) -> None:
    async with embedded.running(EmbeddedConfig(bin_dir=BY_MAJOR[major].bin_dir)) as server:
        assert server.major == major
        connection = await asyncpg.connect(**dsn_for(server.url, "stoa_app", KeyRing.load(server.keyring_path)))
        assert await connection.fetchval("SELECT current_setting('server_version_num')::int / 10000") == major
        assert await connection.fetchval("SELECT current_setting('data_checksums')") == "on"
        assert server.alive
        await connection.close()
    assert not server.alive
    assert is_gone(server.pid)
    assert not server.data_dir.exists()
    await embedded.stop(server)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_it_runs_for_each_kind_of_account_and_ends_with_it(
    account: str, place: Path, launch: Callable[..., Launched]
) -> None:
    prefix: tuple[str, ...] = ()
    if AS_ROOT and account == "ordinary user":
        prefix = ordinary_user()
        os.chown(place, NOBODY, NOBODY)
    paths = {"data_dir": place / "db", "keyring_path": place / "keys" / "keyring.json"}
    launched = launch(prefix=prefix, **paths)
    said = launched.said
    assert said["role"] == "stoa_app"
    assert said["server_uid"] != 0
    assert (said["uid"] == 0) == (account == "root")
    if account == "ordinary user":
        assert said["server_uid"] == said["uid"]
    assert launched.finish() == 0
    assert is_gone(said["pid"])
    again = launch(prefix=prefix, **paths)
    again.kill()
    assert eventually(again.server_is_gone)


async def test_rows_outlast_a_restart_and_the_url_and_passwords_stay(made: EmbeddedConfig) -> None:
    assert made.keyring_path is not None
    async with embedded.running(made) as server:
        url, ring = server.url, KeyRing.load(made.keyring_path)
        admin = await asyncpg.connect(server.admin_dsn)
        await admin.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        await admin.close()
    async with embedded.running(made) as server:
        admin = await asyncpg.connect(server.admin_dsn)
        assert await admin.fetchval("SELECT answer FROM kept") == 42
        assert await admin.fetchval("SHOW fsync") == "on"
        await admin.close()
        assert server.url == url
        assert KeyRing.load(made.keyring_path) == ring


async def test_a_second_server_on_one_folder_is_refused(made: EmbeddedConfig, launch: Callable[..., Launched]) -> None:
    async with embedded.running(made):
        with pytest.raises(embedded.AlreadyRunning, match=f"process {os.getpid()}"):
            await embedded.start(made)
        with pytest.raises(AssertionError, match="AlreadyRunning"):
            launch(data_dir=made.data_dir, keyring_path=made.keyring_path)
    async with embedded.running(made):
        pass


async def test_another_process_finds_the_running_server(made: EmbeddedConfig) -> None:
    assert made.data_dir is not None
    assert embedded.find_running(made.data_dir) is None
    async with embedded.running(made) as server:
        found = embedded.find_running(made.data_dir)
        assert found is not None
        assert found.url == server.url
        assert found.keyring_path == made.keyring_path
        assert found.launcher == os.getpid()
    assert embedded.find_running(made.data_dir) is None


async def test_folders_and_files_are_closed_to_others(made: EmbeddedConfig) -> None:
    assert made.keyring_path is not None
    async with embedded.running(made) as server:
        for folder in (server.socket_dir, server.data_dir / "cluster", server.log_path.parent):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
            assert folder.stat().st_uid != 0
        assert stat.S_IMODE(server.data_dir.stat().st_mode) == (0o711 if AS_ROOT else 0o700)
        assert stat.S_IMODE(made.keyring_path.stat().st_mode) == 0o600
        assert made.keyring_path.stat().st_uid == os.geteuid()
        assert stat.S_IMODE(server.log_path.stat().st_mode) == 0o600
        assert stat.S_IMODE((server.data_dir / "server.json").stat().st_mode) == 0o600


async def test_it_listens_on_a_short_unix_socket_alone_and_asks_for_passwords(
    made: EmbeddedConfig, place: Path
) -> None:
    async with embedded.running(replace(made, run_dir=place / ("a" * 60) / ("b" * 60))) as server:
        assert len(os.fsencode(server.socket_dir / ".s.PGSQL.5432")) < 100
        assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
        ring = KeyRing.load(server.keyring_path)
        admin = await asyncpg.connect(server.admin_dsn)
        assert await admin.fetchval("SHOW listen_addresses") == ""
        methods = await admin.fetch("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert [row["auth_method"] for row in methods] == ["scram-sha-256"]
        await admin.close()
        for user in ("stoa_app", embedded.SUPERUSER):
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(server.url, user=user, password="wrong")
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(server.url, user=user, password="")
        assert all(password not in server.log_path.read_text() for password in ring.passwords.values())
    assert not server.socket_dir.exists()


async def test_the_socket_goes_where_it_is_told_to_and_ctrl_c_to_the_launcher_alone(
    made: EmbeddedConfig, place: Path
) -> None:
    async with embedded.running(replace(made, run_dir=place / "run")) as server:
        assert server.socket_dir.is_relative_to(place / "run")
        assert os.getsid(server.pid) != os.getsid(0)
        assert os.getpgid(server.pid) != os.getpgid(0)


async def test_a_start_that_fails_shows_the_end_of_the_log(made: EmbeddedConfig) -> None:
    assert made.data_dir is not None
    settings = made.data_dir / "cluster" / "postgresql.conf"
    before = settings.read_text()
    settings.write_text(before + "no_such_setting_at_all = 1\n")
    with pytest.raises(embedded.StartFailed, match="no_such_setting_at_all"):
        await embedded.start(made)
    assert embedded.find_running(made.data_dir) is None
    settings.write_text(before)


async def test_a_lost_key_ring_is_an_error_and_no_new_one_is_made(made: EmbeddedConfig) -> None:
    assert made.keyring_path is not None
    kept = made.keyring_path.rename(made.keyring_path.with_suffix(".kept"))
    with pytest.raises(KeyRingMissing):
        await embedded.start(made)
    assert not made.keyring_path.exists()
    KeyRing.create(made.keyring_path)
    with pytest.raises(embedded.EmbeddedProblem, match="not the one this database folder was made with"):
        await embedded.start(made)
    kept.replace(made.keyring_path)


def test_the_key_ring_may_not_lie_in_the_database_folder(place: Path) -> None:
    with pytest.raises(ValueError, match="outside"):
        EmbeddedConfig(data_dir=place / "db", keyring_path=place / "db" / "keyring.json")
    with pytest.raises(ValueError, match="needs a key-ring path"):
        EmbeddedConfig(data_dir=place / "db")


async def test_the_folder_keeps_its_major_version(config: EmbeddedConfig) -> None:
    # One that would not be chosen by itself, and another.
    first = next(binaries_found for binaries_found in BY_MAJOR.values() if binaries_found.from_wheel)
    other = next(found for found in BY_MAJOR.values() if found.major != first.major)
    async with embedded.running(replace(config, bin_dir=first.bin_dir)):
        pass
    with pytest.raises(embedded.NoBinaries, match=rf"made by PostgreSQL {first.major}.*Found: {other.version}"):
        await embedded.start(replace(config, bin_dir=other.bin_dir))
    async with embedded.running(config) as server:
        assert server.major == first.major


async def test_what_a_crash_left_behind_is_cleared(made: EmbeddedConfig) -> None:
    assert made.data_dir is not None
    (made.data_dir / "draft-folder").mkdir()
    (made.data_dir / "draft-secret-file").touch()
    pid_file = made.data_dir / "cluster" / "postmaster.pid"
    # The number has gone to another process of the same account since: that of another server.
    async with embedded.running(EmbeddedConfig()) as other:
        pid_file.write_text(f"{other.pid}\n{pid_file.parent}\n1\n5432\n\n\n\nready\n")
        async with embedded.running(made) as server:
            assert server.alive
            assert not list(server.data_dir.glob("draft-*"))


async def test_a_server_that_was_started_by_hand_is_left_alone(made: EmbeddedConfig) -> None:
    assert made.data_dir is not None
    async with embedded.running(made) as server:
        folders.unlock(os.dup(server.hold.folders.lock))
        with pytest.raises(embedded.AlreadyRunning, match=rf"did not start .*{server.pid}"):
            await embedded.start(made)
        assert server.alive


async def test_a_folder_that_is_no_cluster_is_left_alone(config: EmbeddedConfig) -> None:
    assert config.data_dir is not None
    cluster = config.data_dir / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "precious").write_text("mine")
    if AS_ROOT:
        os.chown(cluster, NOBODY, NOBODY)
    with pytest.raises(embedded.EmbeddedProblem, match="PG_VERSION"):
        await embedded.start(config)
    assert (cluster / "precious").read_text() == "mine"


async def test_a_server_that_dies_is_noticed(made: EmbeddedConfig) -> None:
    async with embedded.running(made) as server:
        os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not server.alive)
    async with embedded.running(made) as server:
        assert server.alive
