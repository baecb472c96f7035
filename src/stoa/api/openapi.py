"""The OpenAPI 3.1 document, made from the operations: what is documented is what is served."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from stoa.access.scopes import SCOPES
from stoa.api import errors, versions
from stoa.api.openapi_schemas import Json, ProblemDocument, Schemas
from stoa.api.operations import Operation
from stoa.api.problems import MEDIA_TYPE, kind_of, phrase
from stoa.kernel.problems import BadInput, Conflict, NotFound, Problem

TAGS: Final[Mapping[str, str]] = {
    "People": "People as they are in effect, and what each source says of them.",
    "Groups": "Groups that sources push, and who is in them.",
    "Roles": "Which group gives which role, and who has which.",
    "Merges": "People who may be one, merges of them, and splits.",
    "Decisions": "Whom sources could not tell, and who an admin says that they are.",
    "Authority": "Which source wins which field of a person.",
    "Sources": "Where what is known of people comes from.",
    "Connections": "Connections to other systems.",
    "Runs": "Runs of syncs, imports and rollbacks, with every change that they plan and made.",
    "Alerts": "What needs somebody.",
    "Events": "The event log: every change of the tenant, in order, without a gap.",
    "Webhooks": "Endpoints to which events are sent as they happen.",
    "Clients": "API clients, without their secrets.",
    "Audit": "Who did what, from where.",
    "Tenant": "The tenant itself.",
    "Jobs": "Work that goes on in the background.",
}
_ABOUT: Final = """The public API of Stoa: JSON over HTTP, one tenant for each credential.

Every list pages by cursor and takes `filter`, `sort`, `fields` and `updated_since`. Every POST that makes something
takes an `Idempotency-Key`. Every answer tells what is left of the budget of requests in `RateLimit`. Every refusal is a
problem document (RFC 9457) whose `type` is the address of its documentation. Unknown parameters and members are
refused.

In a sandbox tenant the header `Stoa-Fault` has a request fail on demand: `rate_limited`, `service_unavailable`,
`internal_error`, `slow` or `lost_answer`.
"""

# What any operation may answer, whatever it does.
_USUAL: Final[tuple[type[Problem], ...]] = (
    errors.BadQuery,
    errors.UnknownVersion,
    errors.NotAuthenticated,
    errors.InsufficientScope,
    errors.AddressNotAllowed,
    errors.RateLimited,
    errors.InternalError,
    errors.ServiceUnavailable,
)
_WITH_BODY: Final[tuple[type[Problem], ...]] = (
    errors.BadBody,
    errors.BodyTooLarge,
    errors.UnsupportedMediaType,
)
_WITH_KEY: Final[tuple[type[Problem], ...]] = (errors.IdempotencyInFlight, errors.IdempotencyKeyReused)


def document(operations: Iterable[Operation], *, base_url: str) -> Json:
    """The whole document."""
    listed = tuple(operations)
    schemas = Schemas(listed)
    used = [tag for tag in TAGS if any(operation.tag == tag for operation in listed)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stoa API",
            "version": versions.LATEST,
            "summary": "People, runs, events and webhooks of a tenant.",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "contact": {"name": "The operator of this server", "url": f"{base_url}/docs/api"},
        },
        "servers": [{"url": base_url, "description": "This server"}],
        "security": [{"bearer": []}],
        "externalDocs": {"description": "The reference for readers", "url": f"{base_url}/docs/api"},
        "tags": [
            {"name": tag, "description": TAGS[tag], "externalDocs": {"url": f"{base_url}/docs/api/{tag.lower()}"}}
            for tag in used
        ],
        "paths": _paths(listed, schemas),
        "components": {
            "securitySchemes": _security(base_url),
            "schemas": dict(sorted(schemas.components.items())),
            "headers": _HEADERS,
        },
    }


def _paths(operations: Sequence[Operation], schemas: Schemas) -> Json:
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return dict(sorted(paths.items()))


def _operation(operation: Operation, schemas: Schemas) -> Json:
    described = operation.description or operation.summary
    if operation.scope is not None:
        described = f"{described}\n\nScope: `{operation.scope}`."
    if operation.cost > 1:
        described = f"{described} Costs {operation.cost} requests of the budget."
    if operation.bytes_per_unit:
        described = f"{described} Each {operation.bytes_per_unit:,} bytes of the body cost one more."
    found: Json = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": described,
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas),
        "security": [{"bearer": []}, {"oauth2": [] if operation.scope is None else [operation.scope]}],
    }
    if operation.deprecated is not None:
        found["deprecated"] = True
        found["description"] += f"\n\nDeprecated since {operation.deprecated.since}: {operation.deprecated.instead}"
    if operation.body is not None:
        content: Json = {"schema": schemas.of(operation.body)}
        if operation.body_example is not None:
            content["example"] = operation.body_example
        media_types = ["application/json"]
        if operation.method == "PATCH":
            media_types.append("application/merge-patch+json")
        found["requestBody"] = {
            "required": True,
            "description": f"At most {operation.max_bytes:,} bytes.",
            "content": dict.fromkeys(media_types, content),
        }
    return found


def _parameters(operation: Operation) -> list[Json]:
    found: list[Json] = []
    for name, param in operation.path_params.items():
        schema: Json = {"type": "string", "minLength": 1}
        if param.format:
            schema["format"] = param.format
        if param.pattern:
            schema["pattern"] = param.pattern
        one: Json = {"name": name, "in": "path", "required": True, "description": param.description, "schema": schema}
        if param.example:
            one["example"] = param.example
        found.append(one)
    struct = msgspec.json.schema(operation.query)
    definition: Json = next(iter(struct.get("$defs", {}).values()), struct)
    properties: Mapping[str, Json] = definition.get("properties", {})
    for name, schema in properties.items():
        shown = {key: value for key, value in schema.items() if key not in {"description", "default"}}
        if "anyOf" in shown:
            # An absent parameter is what null is in Python; there is no way to send a null.
            kinds = [kind for kind in shown["anyOf"] if kind != {"type": "null"}]
            shown = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        if schema.get("default") is not None:
            shown["default"] = schema["default"]
        found.append(
            {
                "name": name,
                "in": "query",
                "required": name in definition.get("required", ()),
                "description": schema.get("description", name),
                "schema": shown,
            }
        )
    found.extend(_header_parameters(operation))
    return found


def _header_parameters(operation: Operation) -> list[Json]:
    found: list[Json] = []
    if operation.idempotency != "none":
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": operation.idempotency == "required",
                "description": "A fresh text for each piece of work; the same one again with each repetition of it.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
                "example": "7a1d2c1e-3f0b-4f2a-9f6e-2d0c5b9d3a11",
            }
        )
    if operation.match != "none":
        found.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": operation.match == "required",
                "description": "The ETag of what is to be changed, as it was last read.",
                "schema": {"type": "string"},
                "example": '"7"',
            }
        )
    return found


def _responses(operation: Operation, schemas: Schemas) -> Json:
    found: Json = {}
    for status, kind in operation.answers.items():
        answer: Json = {
            "description": phrase(status),
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in _ON_EVERY},
        }
        if kind is not None:
            answer["content"] = {operation.media_type: {"schema": schemas.of(kind)}}
            if links := schemas.links(operation, kind):
                answer["links"] = links
        found[str(status)] = answer
    for status, kinds in sorted(_refusals(operation).items()):
        codes = "; ".join(f"`{one.code}`: {kind_of(one).title}" for one in kinds)
        refusal: Json = {
            "description": f"{phrase(status)}. {codes}",
            "content": {MEDIA_TYPE: {"schema": schemas.of(ProblemDocument)}},
            "x-problem-codes": [one.code for one in kinds],
        }
        if status in {429, 503}:
            refusal["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
        found[str(status)] = refusal
    return found


def _refusals(operation: Operation) -> Mapping[int, Sequence[type[Problem]]]:
    kinds: list[type[Problem]] = [*_USUAL, *operation.problems]
    if operation.path_params and not any(issubclass(one, NotFound) for one in operation.problems):
        kinds.append(NotFound)
    if operation.body is not None or operation.method != "GET":
        kinds.extend(_WITH_BODY)
        kinds.extend((Conflict, errors.TooSlow))
    if "filter" in operation.query.__struct_fields__:
        kinds.append(errors.TooSlow)
    if operation.idempotency != "none":
        kinds.extend((errors.IdempotencyKeyMissing, *_WITH_KEY))
    if operation.match != "none":
        kinds.append(errors.PreconditionFailed)
    if operation.match == "required":
        kinds.append(errors.PreconditionRequired)
    if BadInput not in kinds and any(one.status == 400 for one in operation.problems):
        kinds.append(BadInput)
    by_status: dict[int, list[type[Problem]]] = {}
    for one in dict.fromkeys(kinds):
        by_status.setdefault(one.status, []).append(one)
    return by_status


def _security(base_url: str) -> Json:
    flow = {"clientCredentials": {"tokenUrl": f"{base_url}/oauth/token", "scopes": dict(SCOPES)}}
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, an access token of /oauth/token, or a token of `stoa token create`.",
        },
        "oauth2": {"type": "oauth2", "description": "OAuth 2.0 client credentials (RFC 6749, 4.4).", "flows": flow},
    }


_ON_EVERY: Final = ("RateLimit", "RateLimit-Policy", "Stoa-Version", "X-Request-Id")
_HEADERS: Final[Json] = {
    "RateLimit": {
        "description": "What is left of the client's and the tenant's budget (`r`), and in how many seconds it is full "
        "again (`t`).",
        "schema": {"type": "string"},
        "example": '"client";r=1180;t=34, "tenant";r=5900;t=34',
    },
    "RateLimit-Policy": {
        "description": "The budgets: units (`q`) in a window of seconds (`w`).",
        "schema": {"type": "string"},
        "example": '"client";q=1200;w=60, "tenant";q=6000;w=60',
    },
    "Stoa-Version": {
        "description": "The version of the API that answered.",
        "schema": {"type": "string"},
        "example": versions.LATEST,
    },
    "X-Request-Id": {
        "description": "The trace id: the server's log and the audit log name it.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "example": "4bf92f3577b34da6a3ce929d0e0e4736",
    },
    "Retry-After": {
        "description": "In how many seconds the request can be repeated.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 12,
    },
}
