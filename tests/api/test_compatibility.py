"""No release may break a client of the one before: the check itself, and the check of this tree."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stoa.api.compatibility import breaking_changes
from stoa.db import embedded

from .calling import serving

RELEASED = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
Json = dict[str, Any]


def small() -> Json:
    """A document with one operation that takes and gives something."""
    thing: Json = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "size": {"type": "integer"},
            "kind": {"enum": ["a", "b"], "type": "string"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["id", "size"],
    }
    schema = {"$ref": "#/components/schemas/Thing"}
    return {
        "paths": {
            "/v1/things/{id}": {
                "put": {
                    "operationId": "putThing",
                    "parameters": [
                        {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}},
                        {"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 100}},
                    ],
                    "requestBody": {"content": {"application/json": {"schema": schema}}},
                    "responses": {
                        "200": {"content": {"application/json": {"schema": {"type": "array", "items": schema}}}},
                        "404": {"description": "Not Found"},
                    },
                }
            }
        },
        "components": {"schemas": {"Thing": thing}},
    }


def operation(document: Json) -> Json:
    """The only one."""
    return document["paths"]["/v1/things/{id}"]["put"]


def thing(document: Json) -> Json:
    """The only schema."""
    return document["components"]["schemas"]["Thing"]


def _rename(document: Json) -> None:
    operation(document)["operationId"] = "replaceThing"


def _drop_operation(document: Json) -> None:
    document["paths"].clear()


def _ask_for_parameter(document: Json) -> None:
    operation(document)["parameters"][1]["required"] = True


def _drop_parameter(document: Json) -> None:
    operation(document)["parameters"].pop()


def _lower_limit(document: Json) -> None:
    operation(document)["parameters"][1]["schema"]["maximum"] = 50


def _ask_for_body(document: Json) -> None:
    operation(document)["requestBody"]["required"] = True


def _drop_answer(document: Json) -> None:
    operation(document)["responses"]["201"] = operation(document)["responses"].pop("200")


def _other_media_type(document: Json) -> None:
    content = operation(document)["responses"]["200"]["content"]
    content["text/csv"] = content.pop("application/json")


def _drop_member(document: Json) -> None:
    del thing(document)["properties"]["note"]


def _other_type(document: Json) -> None:
    thing(document)["properties"]["size"]["type"] = "string"


def _other_format(document: Json) -> None:
    del thing(document)["properties"]["id"]["format"]


def _fewer_values(document: Json) -> None:
    thing(document)["properties"]["kind"]["enum"] = ["a"]


def _ask_for_member(document: Json) -> None:
    thing(document)["required"].append("note")


def _not_always_there(document: Json) -> None:
    thing(document)["required"].remove("size")


def _null_no_more(document: Json) -> None:
    thing(document)["properties"]["note"] = {"type": "string"}


@pytest.mark.parametrize(
    "change",
    [
        _rename,
        _drop_operation,
        _ask_for_parameter,
        _drop_parameter,
        _lower_limit,
        _ask_for_body,
        _drop_answer,
        _other_media_type,
        _drop_member,
        _other_type,
        _other_format,
        _fewer_values,
        _ask_for_member,
        _not_always_there,
        _null_no_more,
    ],
)
def test_a_break_is_found(change: Callable[[Json], None]) -> None:
    coming = copy.deepcopy(small())
    change(coming)
    assert breaking_changes(small(), coming) != []


def _add_operation(document: Json) -> None:
    document["paths"]["/v1/others"] = {"get": {"operationId": "listOthers", "responses": {}}}


def _add_parameter(document: Json) -> None:
    operation(document)["parameters"].append({"in": "query", "name": "sort", "schema": {"type": "string"}})


def _raise_limit(document: Json) -> None:
    operation(document)["parameters"][1]["schema"]["maximum"] = 200


def _add_member(document: Json) -> None:
    thing(document)["properties"]["more"] = {"type": "string"}


def _add_refusal(document: Json) -> None:
    operation(document)["responses"]["409"] = {"description": "Conflict"}


def _say_it_better(document: Json) -> None:
    thing(document)["description"] = "A thing."


@pytest.mark.parametrize(
    "change", [_add_operation, _add_parameter, _raise_limit, _add_member, _add_refusal, _say_it_better]
)
def test_what_is_added_breaks_nobody(change: Callable[[Json], None]) -> None:
    coming = copy.deepcopy(small())
    change(coming)
    assert breaking_changes(small(), coming) == []


async def test_this_tree_breaks_no_client_of_the_released_api(server: embedded.Server) -> None:
    async with serving(server) as client:
        coming = (await client.get("/v1/openapi.json")).json()
    released = json.loads(RELEASED.read_text())
    assert breaking_changes(released, coming) == [], (
        "This would break clients. Keep the old way beside the new one, or bring a new version (stoa.api.versions)."
    )
