"""Finding the database: the one named, the one that runs here, or the folder of one that ran.

A running instance keeps a file in the state folder and a lock upon it; the lock goes with the process however it ends,
so a file without one is litter.
"""

import fcntl
import json
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from stoa.composition import Store
from stoa.db import embedded
from stoa.kernel.problems import Misconfigured
from stoa.settings import Settings


@dataclass(frozen=True, slots=True)
class Instance:
    """A running `stoa dev` or `stoa demo`."""

    pid: int
    base_url: str
    database_url: str
    key_ring: str
    mailbox: str
    allow: str = ""

    @property
    def store(self) -> Store:
        """Where its data is."""
        return Store(self.database_url, Path(self.key_ring))


@contextmanager
def announced(settings: Settings, instance: Instance) -> Generator[None]:
    """Lets other commands on this machine find the instance for as long as the block lasts."""
    folder = _folder(settings)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{instance.pid}.json"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.truncate(handle, 0)
        os.pwrite(handle, json.dumps(asdict(instance)).encode(), 0)
        yield
    finally:
        with suppress(FileNotFoundError):
            path.unlink()
        os.close(handle)


def running_instances(settings: Settings) -> list[Instance]:
    """The instances that run with this state folder, the latest started last. Litter of killed ones is removed."""
    found: list[tuple[float, Instance]] = []
    for path in _folder(settings).glob("*.json"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                with suppress(ValueError, TypeError):
                    found.append((path.stat().st_mtime, Instance(**json.load(file))))
            else:
                path.unlink()
    return [instance for _, instance in sorted(found, key=lambda pair: pair[0])]


def _folder(settings: Settings) -> Path:
    return settings.state_dir / "running"


def database_dir(settings: Settings) -> Path:
    """The folder of the database that `stoa dev` keeps."""
    return settings.state_dir / "data"


@dataclass(frozen=True, slots=True)
class Found:
    """A database to work with, and the running instance on it, if there is one."""

    store: Store
    base_url: str | None
    mailbox: Path
    allow: frozenset[str] = frozenset()


@asynccontextmanager
async def found_store(settings: Settings, database_url: str | None = None) -> AsyncGenerator[Found]:
    """The database that a command is about.

    In this order: the URL given, STOA_DATABASE_URL, the instance that runs here, the folder of one that ran (started
    for the length of the block).
    Raises Misconfigured when there is none, or when several run.
    """
    instances = running_instances(settings)
    url = database_url or settings.database_url
    if url is not None:
        mine = next((i for i in instances if i.database_url == url), None)
        key_ring = settings.key_ring or (Path(mine.key_ring) if mine else settings.key_ring_path)
        if not key_ring.exists():
            raise Misconfigured(
                f"There is no key ring at {key_ring}, and without it the roles' passwords are not known.",
                hint="STOA_KEY_RING says where it is; `stoa db init` makes one for a new database.",
            )
        yield Found(
            Store(url, key_ring),
            settings.base_url or (mine.base_url if mine else None),
            _mailbox(settings, mine),
            _allow(mine),
        )
        return
    if len(instances) > 1:
        urls = ", ".join(i.database_url for i in instances)
        raise Misconfigured("Several instances of Stoa run here.", hint=f"Say which one by --database-url: {urls}.")
    if instances:
        only = instances[0]
        yield Found(only.store, settings.base_url or only.base_url, _mailbox(settings, only), _allow(only))
        return
    if not database_dir(settings).exists():
        raise Misconfigured(
            "No Stoa runs here, and none has run with this state folder.",
            hint="Start one with `stoa dev`, or set STOA_DATABASE_URL.",
        )
    config = embedded.EmbeddedConfig(data_dir=database_dir(settings), keyring_path=settings.key_ring_path)
    async with embedded.running(config) as server:
        yield Found(Store(server.url, server.keyring_path), settings.base_url, settings.mailbox_path)


def _allow(instance: Instance | None) -> frozenset[str]:
    return frozenset(instance.allow.split(",")) - {""} if instance else frozenset()


def _mailbox(settings: Settings, instance: Instance | None) -> Path:
    return Path(instance.mailbox) if instance else settings.mailbox_path
