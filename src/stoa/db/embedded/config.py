"""What the embedded server is told, and the settings PostgreSQL gets from that."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_COMMON: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "logging_collector": "off",
    "log_statement": "none",
    # A statement that fails is logged without its text and its values: both may hold personal data.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length_on_error": "0",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    # Plans are made from statistics; a tenant that was just filled should not wait a minute for its own.
    "autovacuum_naptime": "10s",
    # Short statements gain nothing from the compiler and pay for it.
    "jit": "off",
}
_EPHEMERAL: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_DURABLE: Final = {"wal_compression": "on"}


@dataclass(frozen=True, slots=True)
class EmbeddedConfig:
    """How to start the embedded server.

    Attributes:
        data_dir: the database folder; made if it is missing. None is ephemeral mode: a temporary folder, no syncing to
            disk, removed at the end.
        keyring_path: the key ring, outside `data_dir`; made if it is missing. None only in ephemeral mode, where it
            lies in the temporary folder.
        run_dir: where the folder of the unix socket goes. None, or a path too long for a socket: a place is chosen.
        bin_dir: PostgreSQL's programs. None: they are looked for.
        cache_dir: where the wheel's programs are copied to if the server's account cannot reach them; root only.
        database: the database to make and to name in the server's url.
        start_seconds: how long recovery and start may take.
    """

    data_dir: Path | None = None
    keyring_path: Path | None = None
    run_dir: Path | None = None
    bin_dir: Path | None = None
    cache_dir: Path = Path("/var/cache/stoa/postgresql")
    database: str = "stoa"
    start_seconds: float = 120.0

    def __post_init__(self) -> None:
        if self.data_dir is not None:
            if self.keyring_path is None:
                raise ValueError("a database folder that lasts needs a key-ring path")
            if self.keyring_path.resolve().is_relative_to(self.data_dir.resolve()):
                raise ValueError(
                    f"the key ring {self.keyring_path} must lie outside the database folder {self.data_dir}"
                )

    @property
    def ephemeral(self) -> bool:
        """Whether everything is thrown away at the end."""
        return self.data_dir is None


def server_settings(socket_dir: Path, *, ephemeral: bool) -> list[str]:
    """The settings as arguments of `postgres`: `-c name=value`. Arguments win over what the database folder says."""
    settings = {**_COMMON, **(_EPHEMERAL if ephemeral else _DURABLE)}
    settings["unix_socket_directories"] = str(socket_dir)
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
