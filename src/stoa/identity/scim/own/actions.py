"""Describing a tenant's own extensions of users, each step with its event. Nothing stored is touched: values that do
not fit a schema are given back as they are.
"""

from dataclasses import replace
from uuid import UUID

from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.identity.scim.own import queries as own_queries
from stoa.identity.scim.own.model import OwnAttribute, OwnSchema
from stoa.identity.scim.own.rules import (
    MOST_SCHEMAS,
    SchemaClash,
    checked_texts,
    checked_urn,
    described,
    with_attribute,
    with_changed,
)
from stoa.kernel.ids import new_id
from stoa.kernel.problems import NotFound


async def add_schema(tx: TenantTx, urn: str, name: str, description: str) -> OwnSchema:
    """A new extension, without attributes yet. Raises BadInput, SchemaClash."""
    await own_queries.raise_version(tx)
    others = await own_queries.own_schemas(tx)
    if len(others) >= MOST_SCHEMAS:
        raise SchemaClash(f"A tenant has at most {MOST_SCHEMAS} schemas of its own, retired ones too.")
    urn = checked_urn(urn, [other.urn for other in others])
    name, description = checked_texts(name, description)
    made = OwnSchema(new_id(), urn, name, description, (), tx.now, tx.now)
    await own_queries.insert_schema(tx, made)
    emit(tx, Event("scim_schema.created", f"scim_schema:{made.schema_id}", {"urn": urn, "name": name}))
    return made


async def add_attribute(tx: TenantTx, schema_id: UUID, attribute: OwnAttribute) -> OwnSchema:
    """One attribute more. Raises NotFound, BadInput, SchemaClash."""
    standing = await _locked(tx, schema_id)
    changed = with_attribute(standing, attribute)
    return await _keep(tx, standing, changed, changed.attributes[-1].name)


async def change_attribute(tx: TenantTx, schema_id: UUID, attribute: OwnAttribute) -> OwnSchema:
    """An attribute so changed that whatever was accepted stays accepted. Raises NotFound, BadInput, SchemaClash."""
    standing = await _locked(tx, schema_id)
    return await _keep(tx, standing, with_changed(standing, attribute), attribute.name)


async def retire_schema(tx: TenantTx, schema_id: UUID) -> OwnSchema:
    """From now on its values are kept as they come, and discovery does not offer it. Raises NotFound."""
    standing = await _locked(tx, schema_id)
    if standing.retired_at is not None:
        return standing
    changed = replace(standing, retired_at=tx.now, changed_at=tx.now)
    await own_queries.update_schema(tx, changed)
    emit(tx, Event("scim_schema.retired", f"scim_schema:{schema_id}", {"urn": standing.urn}))
    return changed


async def restore_schema(tx: TenantTx, schema_id: UUID) -> OwnSchema:
    """Offers a retired one again. Raises NotFound."""
    standing = await _locked(tx, schema_id)
    if standing.retired_at is None:
        return standing
    changed = replace(standing, retired_at=None, changed_at=tx.now)
    await own_queries.update_schema(tx, changed)
    emit(tx, Event("scim_schema.restored", f"scim_schema:{schema_id}", {"urn": standing.urn}))
    return changed


async def _locked(tx: TenantTx, schema_id: UUID) -> OwnSchema:
    await own_queries.raise_version(tx)
    found = await own_queries.own_schema(tx, schema_id)
    if found is None:
        raise NotFound("There is no such schema.", hint="The list of schemas shows those there are.")
    return found


async def _keep(tx: TenantTx, standing: OwnSchema, changed: OwnSchema, name: str) -> OwnSchema:
    before, after = _attribute_of(standing, name), _attribute_of(changed, name)
    if before == after:
        return standing
    changed = replace(changed, changed_at=tx.now)
    await own_queries.update_schema(tx, changed)
    body = {
        "urn": standing.urn,
        "before": None if before is None else described(before),
        "after": None if after is None else described(after),
    }
    emit(tx, Event("scim_schema.changed", f"scim_schema:{standing.schema_id}", body))
    return changed


def _attribute_of(schema: OwnSchema, name: str) -> OwnAttribute | None:
    return next((one for one in schema.attributes if one.name.lower() == name.lower()), None)
