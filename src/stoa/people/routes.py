"""People over the public API. Reading here; what changes them is in `routes_write`."""

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from typing import Any, Final
from uuid import UUID

from stoa.api.errors import BadQuery
from stoa.api.lists import ListQuery, Page, page, read_list
from stoa.api.operations import Answer, Call, Operation, Param
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.cursors import BadCursor
from stoa.kernel.filters import FilterError
from stoa.kernel.fold import fold
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import NotFound
from stoa.people.catalogue import CATALOGUE
from stoa.people.gone import tombstones, with_tombstones
from stoa.people.listing import PeopleAsk, PeopleSort, person_rows
from stoa.people.wire import COLUMNS, Person, listed_person, person_of

SORTS: Final[tuple[PeopleSort, ...]] = ("display_name", "updated_at")
PERSON: Final = Param(
    "The person's id; or `external:SOURCE:ID` with the name or id of a source and the id that it has for the person.",
    example="018f2f3e-5c7a-7c3a-9d5e-3b1c2a4d5e6f",
)
_EXTERNAL: Final = "external:"
# A filter on what no index answers reads everybody; whoever waits for it is told so before they give up.
_SCAN_MILLISECONDS: Final = 5_000

_COLUMNS: Final = ", ".join(COLUMNS)
_BY_ID: Final = f"SELECT person_id, {_COLUMNS}, active, updated_at FROM person WHERE tenant_id = $1 AND person_id = $2"

_BY_EXTERNAL_ID: Final = """
SELECT r.person_id FROM source s JOIN source_record r ON r.tenant_id = $1 AND r.source_id = s.source_id
WHERE s.tenant_id = $1 AND s.{by} = $2 AND r.{column} = $3 {present}"""


def operations() -> tuple[Operation, ...]:
    """Those that read people."""
    return (
        Operation(
            id="listPeople",
            method="GET",
            path="/v1/people",
            tag="People",
            summary="List people",
            description="People with the values in effect, by name unless another order is asked for. Filters on "
            "`user_name`, `email`, `employee_id`, `display_name`, `family_name`, `manager_id`, `groups.value`, "
            "`groups.display`, `roles`, `id` and `updated_at` "
            "are answered by an index. With `updated_since` the order is `updated_at`, and who was merged into "
            "somebody else or is no more comes as a tombstone; who no longer fits a filter does not come.",
            scope="people:read",
            handler=_list,
            query=ListQuery,
            answers={200: Page[Person]},
            problems=(BadCursor, FilterError),
        ),
        Operation(
            id="getPerson",
            method="GET",
            path="/v1/people/{person}",
            tag="People",
            summary="Get a person",
            description="One person with the values in effect. For who was merged into another person, that "
            "person is answered, with their address in Content-Location.",
            scope="people:read",
            handler=_get,
            path_params={"person": PERSON},
            answers={200: Person},
        ),
    )


async def _list(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, CATALOGUE, SORTS, default="display_name")
    if ask.where is not None and ask.where.needs_scan:
        await call.tx.execute(f"SET LOCAL statement_timeout = {_SCAN_MILLISECONDS}")
    sort: PeopleSort = "updated_at" if ask.sort == "updated_at" else "display_name"
    wanted = PeopleAsk(
        where=ask.where, sort=sort, descending=ask.descending, after=ask.after, limit=ask.limit, columns=COLUMNS,
        gone=ask.updated_since is not None,
    )  # fmt: skip
    rows, after = await person_rows(call.tx, wanted)
    people = [listed_person(row) for row in rows]
    if ask.updated_since is None:
        return page(call, ask, people, after)
    if sort != "updated_at":
        raise BadQuery("With updated_since the order is updated_at.", hint="Leave sort out.", parameter="sort")
    mixed, after = with_tombstones(ask, people, await tombstones(call.tx, ask), more=after is not None)
    return page(call, ask, mixed, after)


async def _get(call: Call[Any, None]) -> Answer:
    asked = await person_id_of(call.tx, call.path["person"])
    row = await person_row(call.tx, asked)
    moved = (("content-location", call.url(f"/v1/people/{row['person_id']}")),) if row["person_id"] != asked else ()
    return Answer(content=person_of(row), headers=moved, etag=str(row["version"]))


async def person_row(tx: TenantTx, person_id: UUID) -> Row:
    """The person in the columns that `person_of` reads; after a merge, the one who is left. Raises NotFound."""
    row = await tx.fetchrow(_BY_ID, tx.tenant_id, person_id)
    while row is not None and row["merged_into"] is not None:
        row = await tx.fetchrow(_BY_ID, tx.tenant_id, row["merged_into"])
    if row is None:
        raise no_such_person()
    return row


def no_such_person() -> NotFound:
    """There is nobody of this id in this tenant."""
    return NotFound("There is no such person in this tenant.", hint="The list of people has those that there are.")


async def person_id_of(tx: TenantTx, text: str) -> UUID:
    """The id of a person who is named by it, or as `external:SOURCE:ID`.

    Raises:
        NotFound.
    """
    named = external_of(text)
    found = parse_id(text) if named is None else await _by_external_id(tx, *named)
    if found is None:
        raise no_such_person()
    return found


def external_of(text: str) -> tuple[str, str] | None:
    """Source and id in `external:SOURCE:ID`; None for anything else. Raises NotFound for half of one."""
    if not text.startswith(_EXTERNAL):
        return None
    source, _, external_id = text.removeprefix(_EXTERNAL).partition(":")
    if not source or not external_id or "\x00" in text:
        raise no_such_person()
    return source, external_id


async def _by_external_id(tx: TenantTx, source: str, external_id: str) -> UUID | None:
    by, value = ("name_key", fold(source)) if parse_id(source) is None else ("source_id", parse_id(source))
    for column, present in (("external_id", ""), ("scim_external_id", "AND r.present")):
        statement = _BY_EXTERNAL_ID.format(by=by, column=column, present=present)
        found: UUID | None = await tx.fetchval(statement, tx.tenant_id, value, external_id)
        if found is not None:
            return found
    return None
