"""Changing people over the public API: one at a time, in the name of the client's own source."""

from typing import Any, Final

from msgspec import UNSET

from stoa.api.operations import Answer, Call, Operation
from stoa.api.serving import check_match
from stoa.kernel.fold import fold
from stoa.people.model import Refused
from stoa.people.overruling import overruled
from stoa.people.routes import PERSON, external_of, person_id_of, person_row
from stoa.people.wire import person_of
from stoa.people.wire_write import PersonInput, PersonValues, WrittenPerson
from stoa.people.writing import (
    CannotTell,
    NoRecord,
    NoSource,
    NotOwnSource,
    Seen,
    Written,
    change,
    create,
    own_source,
    refusal,
    remove,
    replace_by_external_id,
)
from stoa.tenants.model import Source

_ONE: Final = "/v1/people/{person}"
_EXAMPLE: Final = {
    "external_id": "E-1001",
    "user_name": "ada@acme.example",
    "email": "ada@acme.example",
    "employee_id": "1001",
    "display_name": "Ada Byron",
    "department": "Engineering",
    "manager_ref": "E-1000",
}


def operations() -> tuple[Operation, ...]:
    """Those that change people."""
    one: Any = {"tag": "People", "scope": "people:write", "path_params": {"person": PERSON}}
    refused = (NoSource, CannotTell)
    return (
        Operation(
            id="createPerson", method="POST", path="/v1/people", tag="People", summary="Create a person",
            description="Says of a person what the client's own source knows. The resolver decides who it is: by "
            "employee id, else by an e-mail address of a proven domain, it may be somebody whom another source knows. "
            "Nobody is ever guessed: in doubt it is refused.",
            scope="people:write", handler=_create, body=PersonInput, body_example=_EXAMPLE, idempotency="required",
            answers={201: WrittenPerson}, problems=refused,
        ),
        Operation(
            id="updatePerson", method="PATCH", path=_ONE, summary="Change a person",
            description="A merge patch (RFC 7396) of what the client's own source says of the person: what is absent "
            "stays, null takes it back. Where the source has no record of the person yet, it gets one. `overruled` "
            "tells which of the values sent are not in effect, and whose are.",
            handler=_update, body=PersonInput, body_example={"title": "Engineer", "phone": None}, match="optional",
            answers={200: WrittenPerson}, problems=refused, **one,
        ),
        Operation(
            id="putPerson", method="PUT", path=_ONE, summary="Create or replace a person",
            description="Has the client's own source say this of the person and nothing else. Under "
            "`external:SOURCE:ID`, with the client's own source, the person is made if there is none of this id: the "
            "same request can be sent again and again.",
            handler=_put, body=PersonValues,
            body_example={name: value for name, value in _EXAMPLE.items() if name != "external_id"}, match="optional",
            answers={200: WrittenPerson, 201: WrittenPerson}, problems=(*refused, NotOwnSource), **one,
        ),
        Operation(
            id="deletePerson", method="DELETE", path=_ONE, summary="Take a person's record back",
            description="The client's own source does not know the person any more. Without another source's word they "
            "lose access. History stays, and saying something of them again brings the record back.",
            handler=_delete, match="optional", answers={204: None}, problems=(NoSource, NoRecord), **one,
        ),
    )  # fmt: skip


async def _create(call: Call[Any, PersonInput]) -> Answer:
    source = await own_source(call.tx, call.credential)
    return await _answered(call, await create(call.tx, source.source_id, call.body), call.body)


async def _update(call: Call[Any, PersonInput]) -> Answer:
    source = await own_source(call.tx, call.credential)
    person_id = await person_id_of(call.tx, call.path["person"])
    return await _answered(call, await change(call.tx, source.source_id, person_id, call.body, _seen(call)), call.body)


async def _put(call: Call[Any, PersonValues]) -> Answer:
    source = await own_source(call.tx, call.credential)
    external_id = own_external_id(source, call.path["person"])
    if external_id is not None:
        done = await replace_by_external_id(call.tx, source.source_id, external_id, call.body, _seen(call))
    else:
        person_id = await person_id_of(call.tx, call.path["person"])
        done = await change(call.tx, source.source_id, person_id, call.body, _seen(call), whole=True)
    return await _answered(call, done, call.body)


async def _delete(call: Call[Any, None]) -> Answer:
    source = await own_source(call.tx, call.credential)
    person_id = await person_id_of(call.tx, call.path["person"])
    await remove(call.tx, source.source_id, person_id, _seen(call))
    return Answer(204)


def own_external_id(source: Source, path: str) -> str | None:
    """The client's own id in `external:SOURCE:ID`; None for an id of ours.

    Raises:
        NotOwnSource.
    """
    named = external_of(path)
    if named is None:
        return None
    name, external_id = named
    if fold(name) != fold(source.name) and name != str(source.source_id):
        raise NotOwnSource(
            f"{name[:200]!r} is not the source of this credential, which is {source.name!r}.",
            hint=f"Put external:{source.source_id if ':' in source.name else source.name}:ID, or the person's id.",
        )
    return external_id


def _seen(call: Call[Any, Any]) -> Seen:
    """Refuses to change what is not as the client last saw it; version 0 is nobody."""
    return lambda version: check_match(call, str(version) if version else None)


async def _answered(call: Call[Any, Any], done: Written | Refused, given: PersonValues) -> Answer:
    if isinstance(done, Refused):
        return Answer(problem=refusal(done))
    record = done.record
    told = await overruled(call.tx, record, sent_by(given))
    person = person_of(await person_row(call.tx, record.person_id))
    members = {name: getattr(person, name) for name in person.__struct_fields__}
    content = WrittenPerson(**members, resolution=done.resolution, overruled=told)
    place = (("location", call.url(f"/v1/people/{person.id}")),) if done.made else ()
    status = 201 if done.made and call.operation.method != "PATCH" else 200
    return Answer(status, content, place, etag=str(person.version))


def sent_by(given: PersonValues) -> list[str]:
    """The members that a client has sent, but for its own id."""
    return [name for name in given.__struct_fields__ if name != "external_id" and getattr(given, name) is not UNSET]
