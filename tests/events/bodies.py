"""Bodies of events as they were really written, held against the catalogue."""

from collections.abc import AsyncGenerator
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from stoa.db.database import open_database
from stoa.events.catalogue import discover, schema_of
from stoa.kernel.ids import TenantId

from ..conftest import ConnectArgs


@cache
def _validator(name: str) -> Any:
    """Strict: a member that the schema does not name is one that readers were not told of."""
    schema = schema_of(discover()[name], "https://stoa.example")
    for part in schema["$defs"].values():
        part["additionalProperties"] = False
    return jsonschema_rs.Draft202012Validator(schema)


def complaints(name: str, body: object) -> list[str]:
    """What is wrong with a body; nothing of a type that no room declares, as tests of the log itself make up."""
    if name not in discover():
        return []
    plain = msgspec.json.decode(msgspec.json.encode(body))
    return [f"{name}: {error.message} at {error.instance_path}" for error in _validator(name).iter_errors(plain)]


@pytest.fixture(autouse=True)
async def bodies_are_checked(tenant_id: TenantId, connect_args: ConnectArgs) -> AsyncGenerator[None]:
    """Holds every event that was written one by one in the test's tenant against its schema. For a room's conftest."""
    yield
    # The test may have closed the pools that it was given.
    database = await open_database(connect_args, roles=("app",))
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch("SELECT DISTINCT type, body FROM event WHERE tenant_id = $1 LIMIT 200", tenant_id)
    await database.close()
    assert [told for row in rows for told in complaints(row["type"], row["body"])] == []
