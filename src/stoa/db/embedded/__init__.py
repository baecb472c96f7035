"""A PostgreSQL server of Stoa's own, for development, tests, demos and small installations.

    async with embedded.running(EmbeddedConfig(data_dir=None)) as server:
        ...  # server.url, server.keyring_path

It speaks over a unix socket alone, asks for passwords (SCRAM), and never outlives the process that started it.
"""

from stoa.db.embedded.cluster import SUPERUSER
from stoa.db.embedded.config import EmbeddedConfig
from stoa.db.embedded.problems import AlreadyRunning, EmbeddedProblem, NoBinaries, StartFailed
from stoa.db.embedded.server import Running, Server, find_running, running, start, stop

__all__ = [
    "SUPERUSER",
    "AlreadyRunning",
    "EmbeddedConfig",
    "EmbeddedProblem",
    "NoBinaries",
    "Running",
    "Server",
    "StartFailed",
    "find_running",
    "running",
    "start",
    "stop",
]
