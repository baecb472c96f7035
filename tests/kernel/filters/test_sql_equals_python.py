"""One meaning, two backends: on real rows PostgreSQL and Python choose the same ones."""

import json
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import cast
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.kernel.filters import (
    Attribute,
    AttrType,
    Column,
    Exists,
    Expr,
    JsonPath,
    Not,
    check,
    evaluate,
    json_elements,
    parse,
    render,
    require_bound,
    sql,
)
from stoa.kernel.fold import fold

from .catalogues import ENTERPRISE, FILTERS, NOW, USER

ROWS = 300
ANYTHING: list[object] = ["true", "a", 1, 0.5, True, [], [1, None, "a"], [[]], [{}], [[{}]], {"value": "a"}]
"""What a document may hold against its type."""
ALPHABET = "abAB%_\\'ßſéÉﬁ\U0001f600\ud7ff\ue000\U0010ffff "

BINDING = {
    "id": Column("p.id"),
    "userName": Column("p.user_name", "p.user_name_key"),
    "externalId": Column("p.external_id"),
    "title": Column("p.title", "p.title_key"),
    "userType": Column("nullif(p.user_type, NULL)", "nullif(p.user_type_key, NULL)"),
    "profileUrl": Column("p.profile_url"),
    "active": Column("p.active"),
    "level": Column("p.level"),
    "salary": Column("p.salary"),
    "hireDate": Column("p.hire_date"),
    "seenAt": Column("p.seen_at"),
    "secret": Column("p.title", "p.title_key"),
    "name.familyName": Column("p.family_name", "p.family_name_key"),
    "name.givenName": Column("p.given_name", "p.given_name_key"),
    "meta.lastModified": Column("p.last_modified"),
    "emails": Exists(
        "email e",
        {"value": Column("e.value", "e.value_key"), "type": Column("e.type"), "primary": Column("e.main")},
        on="e.person = p.n",
    ),
    "ims": Exists(
        json_elements("p.doc", ("ims",), "i", objects=True),
        {
            "value": JsonPath("i.item", ("value",), ("key's",)),
            "type": JsonPath("i.item", ("type",)),
            "primary": JsonPath("i.item", ("primary",)),
        },
    ),
    "schemas": Exists(json_elements("p.doc", ("schemas",), "s", objects=False), {"value": JsonPath("s.item", ())}),
    "tags": Exists("unnest(p.tags, p.tag_keys) AS t(tag, tag_key)", {"value": Column("t.tag", "t.tag_key")}),
    f"{ENTERPRISE}:department": JsonPath("p.doc", ("work", "department"), ("work", "department_key")),
    f"{ENTERPRISE}:manager.value": JsonPath("p.doc", ("work", "manager", "value")),
    "colour": JsonPath("p.doc", ("colour",)),
    "rank": JsonPath("p.doc", ("rank",)),
    "flag": JsonPath("p.doc", ("flag",)),
    "roles": Exists(
        json_elements("p.doc", ("roles",), "r", objects=True),
        {"value": JsonPath("r.item", ("value",)), "level": JsonPath("r.item", ("level",))},
    ),
}

TABLES = """
CREATE TEMP TABLE person (
    n integer PRIMARY KEY, id uuid, user_name text, user_name_key text COLLATE "C", external_id text,
    title text, title_key text COLLATE "C", user_type text, user_type_key text COLLATE "C", profile_url text,
    active boolean, level bigint, salary numeric, hire_date date, seen_at timestamptz,
    family_name text, family_name_key text COLLATE "C", given_name text, given_name_key text COLLATE "C",
    last_modified timestamptz, tags text[], tag_keys text[] COLLATE "C", doc jsonb
);
CREATE TEMP TABLE email (person integer, value text, value_key text COLLATE "C", type text, main boolean);
CREATE INDEX person_user_name ON person (user_name_key);
CREATE INDEX person_external_id ON person (external_id COLLATE "C");
CREATE INDEX person_hire_date ON person (hire_date);
"""


def text_of(random: Random) -> str:
    return "".join(random.choices(ALPHABET, k=random.choice([0, 1, 1, 2, 2, 3, 5])))


def scalar(random: Random, kind: AttrType) -> object:
    match kind:
        case AttrType.BOOLEAN:
            return random.random() < 0.5
        case AttrType.INTEGER:
            return random.choice([-(2**63), -2, -1, 0, 1, 2, 3, 2**63 - 1])
        case AttrType.DECIMAL:
            return Decimal(random.randint(-20, 20)) / 10
        case AttrType.DATETIME:
            return NOW + timedelta(hours=random.randint(-3000, 3000), minutes=random.choice([0, 30]))
        case AttrType.DATE:
            return date(2026, 3, 1) + timedelta(days=random.randint(-40, 40))
        case AttrType.UUID:
            return UUID(int=random.randint(1, 5))
        case _:
            return text_of(random)


def fact(random: Random, attribute: Attribute) -> object:
    if random.random() < 0.2:
        return None
    if attribute.multi_valued:
        return [element(random, attribute) for _ in range(random.randint(0, 3))]
    return element(random, attribute)


def element(random: Random, attribute: Attribute) -> object:
    if attribute.type is not AttrType.COMPLEX:
        return scalar(random, attribute.type)
    return {sub.name: scalar(random, sub.type) for sub in attribute.sub_attributes if random.random() < 0.8}


def things() -> list[dict[str, object]]:
    random = Random(20260301)
    found: list[dict[str, object]] = []
    for _ in range(ROWS):
        thing = {attribute.name: fact(random, attribute) for attribute in USER.attributes}
        for name in ("colour", "rank", "flag", "schemas", "ims", "roles"):
            if random.random() < 0.15:
                thing[name] = random.choice(ANYTHING)
        found.append(thing)
    return found


def key(value: object) -> str | None:
    return fold(value) if isinstance(value, str) else None


def mapping(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def sequence(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def member(thing: object, *path: str) -> object:
    for step in path:
        thing = mapping(thing).get(step)
    return thing


def person_row(n: int, thing: dict[str, object]) -> tuple[object, ...]:
    def both(*path: str) -> tuple[object, str | None]:
        value = member(thing, *path)
        return value, key(value)

    tags = thing["tags"]
    tag_keys = None if tags is None else [key(tag) for tag in sequence(tags)]
    return (
        n, thing["id"], *both("userName"), thing["externalId"], *both("title"), *both("userType"), thing["profileUrl"],
        thing["active"], thing["level"], thing["salary"], thing["hireDate"], thing["seenAt"],
        *both("name", "familyName"), *both("name", "givenName"), member(thing, "meta", "lastModified"), tags, tag_keys,
        document(thing),
    )  # fmt: skip


def with_key(im: object) -> object:
    fields = mapping(im)
    return {**fields, "key's": key(fields.get("value"))} if isinstance(im, dict) else im


def document(thing: dict[str, object]) -> str:
    ims = thing["ims"]
    if isinstance(ims, list):
        ims = [with_key(im) for im in sequence(cast("object", ims))]
    department = thing[f"{ENTERPRISE}:department"]
    work = {"department": department, "department_key": key(department), "manager": thing[f"{ENTERPRISE}:manager"]}
    rest = {name: thing[name] for name in ("schemas", "colour", "rank", "flag", "roles")}
    return json.dumps({"ims": ims, "work": work, **rest}, default=float)


def email_rows(n: int, thing: dict[str, object]) -> list[tuple[object, ...]]:
    return [
        (n, member(email, "value"), key(member(email, "value")), member(email, "type"), member(email, "primary"))
        for email in sequence(thing["emails"])
    ]


THINGS = things()


@pytest.fixture
async def rows(scratch_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with THINGS in temporary tables."""
    connection = await asyncpg.connect(scratch_dsn)
    try:
        await connection.execute(TABLES)
        await connection.copy_records_to_table("person", records=[person_row(n, t) for n, t in enumerate(THINGS)])
        emails = [row for n, thing in enumerate(THINGS) for row in email_rows(n, thing)]
        await connection.copy_records_to_table("email", records=emails)
        yield connection
    finally:
        await connection.close()


async def chosen(connection: asyncpg.Connection, exprs: list[Expr], now: datetime) -> list[set[int]]:
    """The rows that each filter chooses, in one round trip."""
    params: list[object] = []
    branches: list[str] = []
    for number, expr in enumerate(exprs):
        typed = check(expr, USER, relative_dates=True)
        condition = sql(typed, BINDING, first_param=len(params) + 1, now=now)
        params += condition.params
        branches.append(f"SELECT {number}, ARRAY(SELECT p.n FROM person p WHERE {condition.text})")
    found = await connection.fetch(" UNION ALL ".join(branches) + " ORDER BY 1", *params)
    return [set(record[1]) for record in found]


def test_the_binding_answers_the_whole_catalogue() -> None:
    require_bound(USER, BINDING)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(exprs=st.lists(FILTERS, min_size=15, max_size=15))
async def test_sql_and_python_choose_the_same_rows(rows: asyncpg.Connection, exprs: list[Expr]) -> None:
    # The fixture is made once for all examples on purpose: they only read.
    both = [form for expr in exprs for form in (expr, Not(expr))]
    everything = set(range(ROWS))
    found = await chosen(rows, both, NOW)
    for expr, in_sql in zip(both, found, strict=True):
        typed = check(expr, USER, relative_dates=True)
        in_python = {n for n, thing in enumerate(THINGS) if evaluate(typed, thing, now=NOW)}
        assert in_sql == in_python, render(expr)
    for positive, negative in zip(found[::2], found[1::2], strict=True):
        assert negative == everything - positive


@pytest.mark.parametrize(
    "prefix", ["a", "ab", "\ud7ff", "\ue000", "\U0010ffff", "a\U0010ffff", "%", "_", "\\", "'", "ß", "ﬁ"]
)
async def test_a_prefix_is_a_range_in_code_point_order(rows: asyncpg.Connection, prefix: str) -> None:
    exprs = [
        parse(f"{name} sw {json.dumps(prefix)}") for name in ("userName", "externalId", "colour", "tags", "emails")
    ]
    found = await chosen(rows, exprs, NOW)
    assert any(found)
    for expr, in_sql in zip(exprs, found, strict=True):
        typed = check(expr, USER)
        assert in_sql == {n for n, thing in enumerate(THINGS) if evaluate(typed, thing)}


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ('userName eq "ab"', "person_user_name"),
        ('userName sw "ab" and userName co "c"', "person_user_name"),
        ('userName gt "ab"', "person_user_name"),
        ('externalId sw "ab"', "person_external_id"),
        ('hireDate ge "2026-03-01" and hireDate lt "2026-03-02"', "person_hire_date"),
        ('not (userName ne "ab")', "person_user_name"),
        ('userName eq "ab" or hireDate eq "2026-03-01"', "person_hire_date"),
    ],
)
async def test_what_needs_no_scan_is_answered_by_an_index(rows: asyncpg.Connection, text: str, index: str) -> None:
    typed = check(parse(text), USER)
    condition = sql(typed, BINDING)
    await rows.execute("SET enable_seqscan = off")
    plan = await rows.fetch(f"EXPLAIN SELECT p.n FROM person p WHERE {condition.text}", *condition.params)
    lines = "\n".join(record[0] for record in plan)
    assert not typed.needs_scan
    assert index in lines
    assert "Index Cond" in lines
    assert "Seq Scan" not in lines
