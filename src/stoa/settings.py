"""Settings: read once by a composition root, from the environment (`STOA_*`), and passed down."""

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from stoa.kernel.problems import Misconfigured


def _state_dir() -> Path:
    # The database server never runs as root, and the account that it runs as cannot reach root's home.
    if os.geteuid() == 0:
        return Path("/var/lib/stoa")
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "stoa"


class Settings(BaseSettings):
    """What an operator can set. Every name has the prefix STOA_ in the environment; docs/operations.md has the list."""

    model_config = SettingsConfigDict(env_prefix="STOA_", extra="ignore")

    database_url: str | None = Field(
        default=None,
        description="Host and database alone: postgresql://host:5432/stoa. Without it Stoa runs its own PostgreSQL.",
    )
    key_ring: Path | None = Field(
        default=None,
        description="The file with the roles' passwords and the sealing keys (default: in the state folder).",
    )
    state_dir: Path = Field(
        default_factory=_state_dir,
        description="The folder for what lives on this machine: own database, key ring, mailbox.",
    )
    host: str = Field(default="127.0.0.1", description="The address that the web server listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Its port; 0 takes a free one.")
    base_url: str | None = Field(
        default=None, description="The address by which clients reach this server, when it stands behind a proxy."
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of the proxies whose X-Forwarded-For is believed, with commas between them.",
    )
    web_processes: int = Field(default=1, ge=1, le=64, description="Web server processes on this machine.")
    worker_concurrency: int = Field(default=4, ge=1, le=64, description="Jobs that one worker process runs at a time.")
    job_lease_seconds: int = Field(
        default=30,
        ge=3,
        le=3600,
        description="How long a job stays with a worker that gives no sign of life; then another takes it over.",
    )
    outbound_allow: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="Development only: exact host:port pairs that connections may name, with commas between them.",
    )
    smtp_url: SecretStr | None = Field(
        default=None, description="smtp://user:password@host:587. Without it mail goes to files in the mailbox."
    )
    mail_sender: str = Field(default="stoa@localhost", description="The sender of mail.")
    mailbox: Path | None = Field(
        default=None, description="The folder for mail that is not sent (default: mailbox in the state folder)."
    )
    metrics_token: SecretStr | None = Field(
        default=None, description="Bearer token for /metrics; without it only this machine may read them."
    )
    development: bool = Field(
        default=False, description="Shows what developers need: the style page and the pseudo-language."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level that is logged."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="One JSON object a line, or text for people."
    )

    @field_validator("outbound_allow", mode="before")
    @classmethod
    def _pairs(cls, given: object) -> object:
        return frozenset(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, given: object) -> object:
        # Parsed here, because what pydantic says of a union of networks is a riddle.
        if not isinstance(given, str):
            return given
        return tuple(ip_network(part.strip()) for part in given.split(",") if part.strip())

    @property
    def key_ring_path(self) -> Path:
        """Where the key ring is."""
        return self.key_ring or self.state_dir / "keyring.json"

    @property
    def mailbox_path(self) -> Path:
        """Where mail goes that is not sent."""
        return self.mailbox or self.state_dir / "mailbox"


def read_settings() -> Settings:
    """The settings of this process's environment. Raises Misconfigured with the name of each that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        # The values stay out of the message: one may be a secret.
        wrong = "; ".join(f"STOA_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise Misconfigured(
            f"The environment has settings that cannot be used: {wrong}.",
            hint="docs/reference/settings.md says what each takes.",
        ) from None
