"""A tenant's own extensions of users: described, filtered, sorted, patched and offered exactly as they are."""

from typing import Any
from uuid import UUID

import pytest

from stoa.db.database import Database
from stoa.identity.scim.model import ENTERPRISE_SCHEMA
from stoa.identity.scim.own import actions as own_actions
from stoa.identity.scim.own.model import OwnAttribute
from stoa.identity.scim.own.offers import Offers, offered_in
from stoa.identity.scim.own.rules import SchemaClash
from stoa.kernel.filters import require_bound
from stoa.kernel.problems import BadInput, NotFound
from tests.identity.conftest import MakeScim, Scim
from tests.identity.scim.test_sorting import walk

URN = "urn:acme:params:scim:schemas:1.0:User"
ATTRIBUTES = (
    OwnAttribute(name="badge", case_exact=True, description="The number on the badge."),
    OwnAttribute(name="team", canonical=("Red", "Blue")),
    OwnAttribute(name="remote", type="boolean"),
    OwnAttribute(name="grade", type="integer"),
    OwnAttribute(name="quota", type="decimal"),
    OwnAttribute(name="since", type="dateTime"),
    OwnAttribute(name="home", type="reference"),
    OwnAttribute(name="tags", multi_valued=True),
    OwnAttribute(name="pin", mutability="writeOnly"),
    OwnAttribute(name="origin", mutability="immutable"),
    OwnAttribute(
        name="desk", type="complex",
        sub_attributes=(OwnAttribute(name="floor", type="integer"), OwnAttribute(name="seat")),
    ),
    OwnAttribute(
        name="phones", type="complex", multi_valued=True,
        sub_attributes=(
            OwnAttribute(name="value"), OwnAttribute(name="primary", type="boolean"),
            OwnAttribute(name="at", type="dateTime"),
        ),
    ),
)  # fmt: skip
ADA: dict[str, Any] = {
    "badge": "B-7", "team": "Straße", "remote": True, "grade": 3, "quota": 0.5, "since": "2026-03-01T09:00:00+02:00",
    "home": "https://a.example/Ada", "tags": ["X", "y"], "desk": {"floor": 2, "seat": "W"},
    "phones": [{"value": "1"}, {"value": "2", "primary": True, "at": "2026-01-01T00:00:00Z"}],
}  # fmt: skip
BOB: dict[str, Any] = {"badge": "b-7", "team": "blue", "remote": False, "grade": 20, "since": "2026-03-01T08:00:00Z"}


async def describe(database: Database, scim: Scim, *names: str) -> UUID:
    """The extension with the attributes of these names, or with all."""
    async with database.tenant(scim.tenant_id) as tx:
        made = await own_actions.add_schema(tx, URN, "Acme user", "")
        for attribute in ATTRIBUTES:
            if not names or attribute.name in names:
                made = await own_actions.add_attribute(tx, made.schema_id, attribute)
    return made.schema_id


@pytest.mark.parametrize("earlier", [False, True])
async def test_filters_orders_and_projections_know_it_even_for_values_from_before(
    database: Database, scim: Scim, earlier: bool
) -> None:
    if not earlier:
        await describe(database, scim)
    spelt = URN.replace("acme", "Acme") if earlier else URN
    people = {
        (await scim.make("ada", **{spelt: ADA}))["id"]: "ada",
        (await scim.make("bob", **{spelt: BOB}))["id"]: "bob",
    }
    people[(await scim.make("cy"))["id"]] = "cy"
    if earlier:
        await describe(database, scim)
    for text, expected in (
        ('badge eq "B-7"', "ada"), ('team eq "STRASSE"', "ada"), ("remote eq false", "bob"), ("grade gt 3", "bob"),
        ("quota le 0.5", "ada"), ('since lt "2026-03-01T07:30:00Z"', "ada"), ('home sw "https://a"', "ada"),
        ("tags pr", "ada"), ('tags eq "x"', "ada"), ("desk.floor eq 2", "ada"), ('desk.seat eq "w"', "ada"),
        ('phones[value eq "2" and primary eq true]', "ada"), ('phones.at ge "2026-01-01T00:00:00Z"', "ada"),
    ):  # fmt: skip
        assert [people[one["id"]] for one in await scim.find(f"{URN}:{text}")] == [expected], text
    for by, expected in (
        ("badge", "ada bob cy"),
        ("grade", "ada bob cy"),
        ("since", "ada bob cy"),
        ("phones", "ada bob cy"),
        ("team", "bob ada cy"),
        ("remote", "bob ada cy"),
        ("desk.floor", "ada bob cy"),
    ):
        for direction, wanted in (("ascending", expected.split()), ("descending", expected.split()[::-1])):
            found = await walk(scim, {"sortBy": f"{URN}:{by}", "sortOrder": direction}, count=1)
            if by not in {"phones", "desk.floor"} or direction == "ascending":
                assert [one["userName"] for one in found] == wanted, (by, direction)
    part = await scim(
        "GET", "/Users", params={"filter": 'userName eq "ada"', "attributes": f"{URN}:desk.floor,{URN}:grade"}
    )
    assert part.json()["Resources"][0][spelt] == {"desk": {"floor": 2}, "grade": 3}
    rest = await scim("GET", "/Users", params={"filter": 'userName eq "ada"', "excludedAttributes": f"{URN}:desk.seat"})
    assert rest.json()["Resources"][0][spelt] == ADA | {"desk": {"floor": 2}}


async def test_values_are_checked_and_patched_by_it(database: Database, scim: Scim) -> None:
    schema_id = await describe(database, scim)
    async with database.tenant(scim.tenant_id) as tx:
        await own_actions.add_attribute(tx, schema_id, OwnAttribute(name="unit", required=True))
    for wrong in (
        {"remote": "maybe"}, {"grade": 1.5}, {"grade": True}, {"quota": "x"}, {"since": "yesterday"}, {"tags": "x"},
        {"since": "2026-03-01T09:00:00"}, {"desk": "x"}, {"shoeSize": 9}, {"desk": {"shoe": 1}}, {"grade": 2**70}, {},
        {"grade": 10**400}, {"quota": -(10**400)},
    ):  # fmt: skip
        answer = await scim(
            "POST", "/Users", {"userName": "u", URN: {"badge": "x", "unit": "1"} | wrong if wrong else {"badge": "x"}}
        )
        assert answer.status_code == 400, wrong
    made = await scim.make("ada", **{URN: ADA | {"unit": "1", "pin": "1234", "origin": "here"}})
    assert made[URN] == ADA | {"unit": "1", "origin": "here"}
    patched = await scim.patch(
        made["id"],
        {"op": "replace", "path": f"{URN}:grade", "value": 4},
        {"op": "add", "path": f"{URN}:phones", "value": [{"value": "3"}]},
        {"op": "replace", "path": f'{URN}:phones[value eq "1"].value', "value": "11"},
        {"op": "remove", "path": f"{URN}:desk.seat"},
        {"op": "add", "path": f"{URN.upper()}:TAGS", "value": ["z"]},
    )
    assert patched[URN]["grade"] == 4
    assert [one["value"] for one in patched[URN]["phones"]] == ["11", "2", "3"]
    assert (patched[URN]["desk"], patched[URN]["tags"]) == ({"floor": 2}, ["X", "y", "z"])
    for operation in (
        {"op": "replace", "path": f"{URN}:origin", "value": "there"},
        {"op": "remove", "path": f"{URN}:origin"},
        {"op": "remove", "path": URN},
    ):
        answer = await scim("PATCH", f"/Users/{made['id']}", {"Operations": [operation]})
        assert (answer.status_code, answer.json()["scimType"]) == (400, "mutability"), answer.text
    # A PUT that leaves out what is set once keeps it.
    put = await scim("PUT", f"/Users/{made['id']}", {"userName": "ada", URN: {"unit": "2"}})
    assert put.json()[URN] == {"unit": "2", "origin": "here"}


async def test_what_does_not_fit_a_later_schema_is_given_back_and_can_be_left_alone(
    database: Database, scim: Scim
) -> None:
    odd = {"grade": "very high", "tags": 5, "unknown": [1, {"a": None, "b": "c"}], "since": "2026-99-99T00:00:00Z"}
    made = await scim.make("ada", **{URN: odd})
    schema_id = await describe(database, scim)
    async with database.tenant(scim.tenant_id) as tx:
        await own_actions.add_attribute(tx, schema_id, OwnAttribute(name="unit", required=True))
    kept = odd | {"unknown": [1, {"b": "c"}]}
    assert (await scim.get(made["id"]))[URN] == kept
    assert (await scim.patch(made["id"], {"op": "replace", "path": "title", "value": "x"}))[URN] == kept
    for text in ("grade gt 1", 'tags eq "5"', 'since gt "2020-01-01T00:00:00Z"'):
        assert await scim.find(f"{URN}:{text}") == []
    for by in ("grade", "tags", "since", "phones"):
        assert len(await walk(scim, {"sortBy": f"{URN}:{by}"}, count=1)) == 1


async def test_discovery_says_what_holds_at_once_and_in_this_tenant_alone(
    database: Database, scim: Scim, make_scim: MakeScim
) -> None:
    other = await make_scim()
    for who in (scim, other):
        assert (await who("GET", f"/Schemas/{URN}")).status_code == 404
    schema_id = await describe(database, scim)
    said = (await scim("GET", f"/Schemas/{URN.upper()}")).json()
    by_name = {one["name"]: one for one in said["attributes"]}
    assert list(by_name) == [one.name for one in ATTRIBUTES]
    assert by_name["since"].items() >= {"type": "dateTime", "uniqueness": "none", "required": False}.items()
    assert by_name["pin"].items() >= {"mutability": "writeOnly", "returned": "never"}.items()
    assert by_name["team"]["canonicalValues"] == ["Red", "Blue"]
    assert [one["name"] for one in by_name["desk"]["subAttributes"]] == ["floor", "seat"]
    kind = (await scim("GET", "/ResourceTypes/User")).json()
    assert [one["schema"] for one in kind["schemaExtensions"]] == [ENTERPRISE_SCHEMA, URN]
    assert (await other("GET", f"/Schemas/{URN}")).status_code == 404
    assert len((await other("GET", "/ResourceTypes/User")).json()["schemaExtensions"]) == 1
    async with database.tenant(scim.tenant_id) as tx:
        await own_actions.retire_schema(tx, schema_id)
    assert (await scim("GET", f"/Schemas/{URN}")).status_code == 404
    # Retired, it is as any schema that nobody has described: kept as it comes.
    assert (await scim.make("ada", **{URN: {"grade": "x", "shoeSize": 9}}))[URN] == {"grade": "x", "shoeSize": 9}
    assert (await scim("GET", "/Users", params={"filter": f"{URN}:grade pr"})).json()["scimType"] == "invalidFilter"
    async with database.tenant(scim.tenant_id) as tx:
        await own_actions.restore_schema(tx, schema_id)
    assert (await scim("GET", f"/Schemas/{URN}")).status_code == 200


async def test_what_another_request_read_meanwhile_is_not_taken_for_what_holds(database: Database, scim: Scim) -> None:
    offers = Offers()
    also, asked = offers.unchanged(scim.tenant_id, "SELECT")
    async with database.tenant(scim.tenant_id) as tx:
        assert (await offers.of(tx, None)).own == ()
    await describe(database, scim, "badge")
    async with database.tenant(scim.tenant_id, also=also) as tx:
        assert tx.found
        assert [one.urn for one in (await offers.of(tx, asked)).own] == [URN]
    also, asked = offers.unchanged(scim.tenant_id, "SELECT WHERE true")
    async with database.tenant(scim.tenant_id, also=also) as tx:
        assert tx.found
        assert await offers.of(tx, asked) is asked


async def test_a_schema_only_grows(database: Database, scim: Scim) -> None:
    schema_id = await describe(database, scim)
    async with database.tenant(scim.tenant_id) as tx:
        changed = await own_actions.change_attribute(
            tx, schema_id, OwnAttribute(name="TEAM", canonical=("Green",), description="Which.", required=True)
        )
        team = next(one for one in changed.attributes if one.name == "team")
        assert (team.canonical, team.description, team.required) == (("Red", "Blue", "Green"), "Which.", False)
        desk = OwnAttribute(
            name="desk", type="complex", sub_attributes=(OwnAttribute(name="seat"), OwnAttribute(name="lamp"))
        )
        changed = await own_actions.change_attribute(tx, schema_id, desk)
        parts = next(one for one in changed.attributes if one.name == "desk").sub_attributes
        assert [one.name for one in parts] == ["floor", "seat", "lamp"]
        for refused in (
            OwnAttribute(name="badge"),
            OwnAttribute(name="x y"),
            OwnAttribute(name="meta"),
            OwnAttribute(name="x", type="complex"),
            OwnAttribute(name="x", type="boolean", canonical=("a",)),
            OwnAttribute(name="x", description="\x00"),
        ):
            with pytest.raises((BadInput, SchemaClash)):
                await own_actions.add_attribute(tx, schema_id, refused)
        for urn in (
            URN.upper(),
            f"{URN}:more",
            ENTERPRISE_SCHEMA,
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:x",
            "acme",
            "urn:acme:1.0:my.User",
            "",
        ):
            with pytest.raises((BadInput, SchemaClash)):
                await own_actions.add_schema(tx, urn, "x", "")
        with pytest.raises(NotFound):
            await own_actions.retire_schema(tx, scim.tenant_id)


async def test_whatever_it_has_is_bound(database: Database, scim: Scim) -> None:
    await describe(database, scim)
    async with database.tenant(scim.tenant_id) as tx:
        offered = await offered_in(tx)
    require_bound(offered.catalogue, offered.binding)
