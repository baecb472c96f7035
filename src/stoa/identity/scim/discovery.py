"""/ServiceProviderConfig, /Schemas and /ResourceTypes (RFC 7644, 4): exactly what is true of this service.

They are built once from the tables that the service itself works by; the tenant's are its own extensions, and
`meta.location`.
"""

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, cast

import scim2_models

from stoa.identity.scim.bulk.model import MAX_OPERATIONS, MAX_PAYLOAD
from stoa.identity.scim.errors import ScimError, not_found
from stoa.identity.scim.http import Answer, Call, json_answer
from stoa.identity.scim.lists.searching import DEFAULT_RESULTS, MAX_RESULTS
from stoa.identity.scim.model import LIST_SCHEMA, Attribute, Kind, ResourceType, Schema
from stoa.identity.scim.own.offered import Offered
from stoa.identity.scim.schemas import ENTERPRISE, GROUP, GROUPS, USER

_Json = dict[str, Any]


def _config() -> _Json:
    config = scim2_models.ServiceProviderConfig(
        patch=scim2_models.Patch(supported=True),
        bulk=scim2_models.Bulk(supported=True, max_operations=MAX_OPERATIONS, max_payload_size=MAX_PAYLOAD),
        filter=scim2_models.Filter(supported=True, max_results=MAX_RESULTS),
        change_password=scim2_models.ChangePassword(supported=False),
        sort=scim2_models.Sort(supported=True),
        etag=scim2_models.ETag(supported=True),
        pagination=scim2_models.Pagination(
            cursor=True,
            index=True,
            default_pagination_method=scim2_models.Pagination.DefaultPaginationMethod.index,
            default_page_size=DEFAULT_RESULTS,
            max_page_size=MAX_RESULTS,
        ),
        authentication_schemes=[
            scim2_models.AuthenticationScheme(
                type=scim2_models.AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="A token of this tenant with the scope scim, in the Authorization header.",
                spec_uri=scim2_models.Reference("https://www.rfc-editor.org/info/rfc6750"),
                primary=True,
            )
        ],
    )
    return _dumped(config)


def _dumped(model: Any) -> _Json:
    return cast("_Json", model.model_dump())


def _schema(schema: Schema) -> _Json:
    model = scim2_models.Schema.model_validate(
        {
            "id": schema.urn,
            "name": schema.name,
            "description": schema.description,
            "attributes": [_attribute(attribute) for attribute in schema.attributes],
        }
    )
    return _dumped(model)


def _attribute(attribute: Attribute) -> _Json:
    described: _Json = {
        "name": attribute.name,
        "type": attribute.kind.value,
        "multiValued": attribute.multi_valued,
        "description": attribute.description,
        "required": attribute.required,
        "caseExact": attribute.case_exact,
        "mutability": attribute.mutability.value,
        "returned": attribute.returned,
        "uniqueness": "server" if attribute.unique else "none",
    }
    if attribute.canonical:
        described["canonicalValues"] = list(attribute.canonical)
    if attribute.references:
        described["referenceTypes"] = list(attribute.references)
    if attribute.kind is Kind.COMPLEX:
        described["subAttributes"] = [_attribute(sub) for sub in attribute.sub_attributes]
    return described


def _resource_type(kind: ResourceType) -> _Json:
    model = scim2_models.ResourceType.model_validate(
        {
            "id": kind.name,
            "name": kind.name,
            "endpoint": kind.endpoint,
            "description": kind.description,
            "schema": kind.schema.urn,
            "schemaExtensions": [{"schema": one.urn, "required": False} for one in kind.extensions.values()],
        }
    )
    return _dumped(model)


_CONFIG: Final = _config()
_SCHEMAS: Final = {schema.urn: _schema(schema) for schema in (USER, GROUP, ENTERPRISE)}


@lru_cache(maxsize=256)
def _schemas_of(offered: Offered) -> Mapping[str, _Json]:
    return {**_SCHEMAS, **{schema.urn: _schema(schema) for schema in offered.own}}


@lru_cache(maxsize=256)
def _types_of(offered: Offered) -> Mapping[str, _Json]:
    return {kind.name: _resource_type(kind) for kind in (offered.users, GROUPS)}


async def config(call: Call) -> Answer:
    """GET /ServiceProviderConfig."""
    return json_answer(HTTPStatus.OK, _located(call, _CONFIG, "ServiceProviderConfig", "ServiceProviderConfig"))


async def schemas(call: Call) -> Answer:
    """GET /Schemas."""
    return _list(call, _schemas_of(call.offered), "Schema", "Schemas")


async def schema(call: Call) -> Answer:
    """GET /Schemas/{urn}. URNs are compared without regard to case."""
    return _one(call, _schemas_of(call.offered), "Schema", "Schemas")


async def resource_types(call: Call) -> Answer:
    """GET /ResourceTypes."""
    return _list(call, _types_of(call.offered), "ResourceType", "ResourceTypes")


async def resource_type(call: Call) -> Answer:
    """GET /ResourceTypes/{name}."""
    return _one(call, _types_of(call.offered), "ResourceType", "ResourceTypes")


def _located(call: Call, document: _Json, kind: str, path: str) -> _Json:
    return {**document, "meta": {"resourceType": kind, "location": f"{call.base_url}/{path}"}}


def _list(call: Call, documents: Mapping[str, _Json], kind: str, path: str) -> Answer:
    if "filter" in call.request.query:
        # RFC 7644, 4: a filter here is answered 403.
        raise ScimError(HTTPStatus.FORBIDDEN, f"/{path} cannot be filtered.")
    resources = [_located(call, document, kind, f"{path}/{name}") for name, document in documents.items()]
    answer = {
        "schemas": [LIST_SCHEMA],
        "totalResults": len(resources),
        "startIndex": 1,
        "itemsPerPage": len(resources),
        "Resources": resources,
    }
    return json_answer(HTTPStatus.OK, answer)


def _one(call: Call, documents: Mapping[str, _Json], kind: str, path: str) -> Answer:
    for name, document in documents.items():
        if name.lower() == call.resource_id.lower():
            return json_answer(HTTPStatus.OK, _located(call, document, kind, f"{path}/{name}"))
    raise not_found(f"There is no {kind} of this name.")
