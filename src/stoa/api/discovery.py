"""What anybody may read of the API without a credential: its OpenAPI document and its change log."""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stoa.api.openapi import document
from stoa.api.operations import Operation
from stoa.api.versions import CHANGES

# It changes with a new release of the server alone.
_KEPT: Final = {"cache-control": "public, max-age=300"}
OPENAPI: Final = "/v1/openapi.json"
CHANGE_LOG: Final = "/v1/changelog"
OPEN: Final = frozenset({OPENAPI, CHANGE_LOG})
_encode = msgspec.json.Encoder(order="deterministic").encode


def discovery_routes(operations: Iterable[Operation], *, base_url: str) -> list[Route]:
    """/v1/openapi.json and /v1/changelog."""
    listed = tuple(operations)

    @cache
    def described() -> bytes:
        return msgspec.json.encode(document(listed, base_url=base_url))

    async def openapi(_: Request) -> Response:
        return Response(described(), media_type="application/json", headers=_KEPT)

    async def changelog(_: Request) -> Response:
        return Response(_encode(change_log()), media_type="application/json", headers=_KEPT)

    return [
        Route(OPENAPI, openapi, name="api:openapi"),
        Route(CHANGE_LOG, changelog, name="api:changelog"),
    ]


def change_log() -> dict[str, Any]:
    """Versions with what came with each, newest first."""
    versions = [
        {
            "version": version,
            "changes": [{"kind": one.kind, "text": one.text, "breaking": one.breaking} for one in changes],
        }
        for version, changes in CHANGES.items()
    ]
    return {"versions": versions}
