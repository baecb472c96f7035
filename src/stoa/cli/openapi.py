"""The OpenAPI document of the public API, without a server or a database."""

import secrets
import sys

import msgspec

from stoa.api.openapi import document
from stoa.composition import base_url_of
from stoa.db.keyring import SealingKey
from stoa.main import api_operations
from stoa.people.target import People
from stoa.settings import read_settings
from stoa.tenants.sealing import Sealer


def openapi(*, base_url: str | None = None) -> None:
    """Print the OpenAPI document of the public API, as the server gives it at /v1/openapi.json.

    Args:
        base_url: The address in it under which clients reach the server. That of the settings when left out.
    """
    # Nothing is served here, so nothing is ever sealed with this key.
    sealer = Sealer((SealingKey("none", secrets.token_bytes(32)),))
    operations = api_operations(People(), sealer, frozenset())
    described = document(operations, base_url=(base_url or base_url_of(read_settings())).rstrip("/"))
    text = msgspec.json.format(msgspec.json.encode(described), indent=2)
    sys.stdout.write(f"{text.decode()}\n")
    sys.stdout.flush()
