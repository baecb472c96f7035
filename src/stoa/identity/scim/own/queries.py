"""A tenant's own extensions in SQL."""

from typing import Final
from uuid import UUID

import msgspec

from stoa.db.transactions import Row, TenantTx
from stoa.identity.scim.own.model import OwnAttribute, OwnSchema

_SCHEMAS: Final = """
SELECT schema_id, urn, name, description, attributes::text AS attributes, made_at, changed_at, retired_at
FROM scim_schema WHERE tenant_id = $1"""
_INSERT: Final = """
INSERT INTO scim_schema (tenant_id, schema_id, urn, urn_key, name, description, attributes, made_at, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $8)"""
_UPDATE: Final = """
UPDATE scim_schema SET name = $3, description = $4, attributes = $5::text::jsonb, retired_at = $6, changed_at = $7
WHERE tenant_id = $1 AND schema_id = $2"""
# Of two who change schemas at once, the second waits here for the first.
_RAISE: Final = """
INSERT INTO scim_schema_set (tenant_id, version) VALUES ($1, 1)
ON CONFLICT (tenant_id) DO UPDATE SET version = scim_schema_set.version + 1"""
_VERSION: Final = "SELECT coalesce((SELECT version FROM scim_schema_set WHERE tenant_id = $1), 0)"
_attributes: Final = msgspec.json.Decoder(tuple[OwnAttribute, ...])


def attributes_of(text: str) -> tuple[OwnAttribute, ...]:
    """The attributes of a schema as they are stored."""
    return _attributes.decode(text)


async def own_schemas(tx: TenantTx) -> list[OwnSchema]:
    """All of the tenant's, retired ones too, in the order of their URNs."""
    rows = await tx.fetch(f"{_SCHEMAS} ORDER BY urn_key", tx.tenant_id)
    return [_schema_of(row) for row in rows]


async def own_schema(tx: TenantTx, schema_id: UUID) -> OwnSchema | None:
    """One of the tenant's, a retired one too."""
    row = await tx.fetchrow(f"{_SCHEMAS} AND schema_id = $2", tx.tenant_id, schema_id)
    return None if row is None else _schema_of(row)


def _schema_of(row: Row) -> OwnSchema:
    return OwnSchema(
        schema_id=row["schema_id"],
        urn=row["urn"],
        name=row["name"],
        description=row["description"],
        attributes=attributes_of(row["attributes"]),
        made_at=row["made_at"],
        changed_at=row["changed_at"],
        retired_at=row["retired_at"],
    )


async def schemas_version(tx: TenantTx) -> int:
    """How often the tenant's schemas were changed."""
    return await tx.fetchval(_VERSION, tx.tenant_id)


async def raise_version(tx: TenantTx) -> None:
    """Notes that the tenant's schemas change. Whoever else changes them waits until the transaction has ended."""
    await tx.execute(_RAISE, tx.tenant_id)


async def insert_schema(tx: TenantTx, schema: OwnSchema) -> None:
    """Keeps a new one."""
    encoded = msgspec.json.encode(schema.attributes).decode()
    values = (schema.urn, schema.urn.lower(), schema.name, schema.description, encoded)
    await tx.execute(_INSERT, tx.tenant_id, schema.schema_id, *values, schema.made_at)


async def update_schema(tx: TenantTx, schema: OwnSchema) -> None:
    """Keeps what changed of one."""
    encoded = msgspec.json.encode(schema.attributes).decode()
    values = (schema.name, schema.description, encoded, schema.retired_at)
    await tx.execute(_UPDATE, tx.tenant_id, schema.schema_id, *values, schema.changed_at)
