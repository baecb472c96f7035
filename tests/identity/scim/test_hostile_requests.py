"""Whatever is sent to whichever endpoint: an answer in SCIM's form, no failure of the server, and nothing changed."""

from itertools import product
from typing import Any

import httpx2
import pytest

from stoa.db.database import Database
from stoa.identity.scim.bulk.model import BULK_REQUEST
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, ERROR_SCHEMA
from stoa.identity.scim.routes import ENDPOINTS
from tests.identity.conftest import Scim, patch_body

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 300)
DEEP = b"[" * 60_000 + b"]" * 60_000
NESTED = b'{"a":' * 400 + b"1" + b"}" * 400
WIDE = b'{"userName":"' + b"a" * 1_048_000 + b'"}'
CONTENTS: tuple[bytes, ...] = (
    b"",
    DEEP,
    NESTED,
    b'{"userName":' + NESTED + b"}",
    b'{"urn:x:1":' + NESTED + b"}",
    b'{"Operations":[{"op":"add","path":"urn:x:1","value":' + NESTED + b"}]}",
    WIDE,
    b'{"userName":"' + b"\xf0\x9f\x98\x80" * 200_000 + b'"}',
    b'{"emails":[' + b"{}," * 100_000 + b"{}]}",
    b'{"userName":"a\x00b"}',
    b'{"userName":"a\\u0000b"}',
    b'{"a\\u0000b":1}',
    b'{"userName":"\\ud800"}',
    b'{"urn:x:\\udfff":{"a":1}}',
    b'{"userName":"\xed\xa0\x80"}',
    b'{"userName":1e400}',
    b'{"urn:x:1":{"n":' + b"9" * 5_000 + b"}}",
    b'{"urn:x:1":{"n":-1e-999,"m":1e308,"o":123456789012345678901234567890}}',
    b'{"startIndex":' + b"9" * 40 + b',"count":-' + b"9" * 40 + b"}",
    b'{"count":1.5,"filter":5}',
    b'{"userName":"dup","userName":"dup2","USERNAME":"dup3"}',
    b'{"Operations":[],"operations":[{"op":"add"}]}',
    b'{"Operations":[{"op":"add","path":"' + b"a[" * 5_000 + b'","value":1}]}',
    b'{"Operations":[{"op":"add","path":"emails[' + b"not (" * 500 + b'value pr","value":1}]}',
    b'{"Operations":[{"op":{},"path":[],"value":{}}]}',
    b'{"Operations":[{"method":[],"path":{},"bulkId":[],"data":[]}]}',
    b'{"Operations":[{"method":"POST","path":"/Users","bulkId":"a\\u0000","data":{"userName":"bulkId:a"}}]}',
    b'{"Operations":[{"method":"POST","path":"/Users/../Groups","bulkId":"a","data":null}],"failOnErrors":"x"}',
    b'{"filter":"' + b"(" * 3_000 + b'"}',
    b'{"filter":"userName eq \\"\\ud800\\""}',
    b'{"cursor":"\\u0000","sortBy":"\\u0000"}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"0" * 5_000,
    b"-",
    b'"' + b"\\" * 9_999,
)
HEADERS: tuple[dict[str, str], ...] = (
    {"Content-Type": "application/scim+json; charset=\x01"},
    {"Content-Type": "application/json;" + "a=b;" * 2_000},
    {"Content-Type": "/"},
    {"Content-Length": "99999999999999999999"},
    {"Content-Length": "-1"},
    {"If-Match": "," * 5_000},
    {"If-Match": 'W/"' + "9" * 3_000 + '"'},
    {"If-None-Match": "*, W/\"\xff\""},
    {"Accept": "text/html;q=9e999"},
    {"Accept-Language": "\xff" * 200},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer \x00"},
    {"Authorization": "Bearer \xff\xfe"},
    {"Authorization": "Basic " + "QQ" * 4_000},
    {"X-HTTP-Method-Override": "DELETE"},
    {"Host": "a b\t/../"},
    {"X-Forwarded-For": "\x7f" * 100},
    {"Transfer-Encoding": "gzip, identity"},
    {"Content-Encoding": "br"},
    {"traceparent": "00-" + "g" * 32 + "-x-01"},
)  # fmt: skip
QUERIES = (
    "filter=%00",
    "filter=userName%20eq%20%22%ED%A0%80%22",
    "filter=userName%20eq%20%22%00%22",
    "filter=" + "not%20(" * 400,
    "filter=" + "userName%20pr%20and%20" * 400 + "userName%20pr",
    "filter=emails[value%20co%20%22" + "%25_%5C" * 50 + "%22]",
    "filter=userName%20co%20%22%F3%A0%80%81%22",
    "filter=meta.created%20gt%20%229999-12-31T23:59:59.999999999Z%22",
    "filter=meta.created%20gt%20%220001-01-01T00:00:00%2B14:00%22",
    "filter=active%20gt%20true",
    "filter=id%20eq%20%22x%22&sortBy=id",
    "filter=userName%20eq%20" + "9" * 4_000,
    "filter=userName%20eq%201e99999",
    "startIndex=99999999999999999999&count=9",
    "startIndex=-9223372036854775809",
    "startIndex=999999999999999999&count=200",
    "count=%D9%A3",
    "count=1e3",
    "cursor=%00",
    "cursor=" + "A" * 6_000,
    "cursor=eyJhIjoxfQ",
    "cursor=&startIndex=2",
    "cursor=&count=0",
    "sortBy=%00",
    "sortBy=emails[",
    "sortBy=" + "a." * 900,
    "sortBy=userName&sortOrder=sideways",
    "sortBy=urn:x:y:z",
    "attributes=" + "a," * 300,
    "attributes=%ED%A0%80",
    "attributes=" + "urn:" * 900,
    "excludedAttributes=id,schemas,meta,userName",
    "attributes=a&excludedAttributes=b",
    "&".join(f"a{n}=1" for n in range(101)),
    "%",
    "=&=&;;",
    "filter[]=x",
    "aadOptscim062020=aadOptscim062020aadOptscim062020",
)


def sound(answer: httpx2.Response, what: object) -> None:
    """Never a failure; and what is refused is refused in SCIM's form."""
    assert answer.status_code < 500 or answer.status_code == 501, (what, answer.text[:300])
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        told = answer.json()
        assert told["schemas"] == [ERROR_SCHEMA], what
        assert told["status"] == str(answer.status_code), what
        assert told["detail"], what
        assert len(answer.content) < 4_000, what


@pytest.fixture
async def paths(scim: Scim) -> list[str]:
    """Every endpoint, with ids that are there and that are none."""
    user = (await scim.make("ada"))["id"]
    group = (await scim("POST", "/Groups", {"displayName": "Team", "members": [{"value": user}]})).json()["id"]
    found: list[str] = []
    for path in ENDPOINTS:
        one = {"Users": user, "Groups": group}.get(path.partition("/")[0], "User")
        found.append("/" + path.replace("{id}", one))
    return [
        *found,
        "/Users/x",
        "/Users/%00",
        "/nothing",
        "/Users/" + "a" * 4_000,
        "/%ff/%2e%2e",
        "//",
        "/Users//" + user,
    ]


async def _unchanged(scim: Scim, database: Database) -> list[Any]:
    async with database.tenant(scim.tenant_id, read_only=True) as tx:
        kept = "SELECT to_jsonb(r) AS row FROM source_record r WHERE tenant_id = $1 ORDER BY resource_id"
        return [row["row"] for row in await tx.fetch(kept, scim.tenant_id)]


async def test_odd_methods_everywhere(scim: Scim, paths: list[str]) -> None:
    for method, path in product(METHODS, paths):
        if method != "DELETE":
            sound(await scim(method, path), (method, path))


@pytest.mark.all
async def test_odd_queries_everywhere(scim: Scim, paths: list[str]) -> None:
    for path, query in product(paths, QUERIES):
        sound(await scim("GET", f"{path}?{query}"), (path, query))


@pytest.mark.all
async def test_odd_bodies_everywhere_change_nothing(scim: Scim, paths: list[str], database: Database) -> None:
    before = await _unchanged(scim, database)
    for content in CONTENTS:
        for path in paths[: len(ENDPOINTS)]:
            for method in ("POST", "PUT", "PATCH"):
                answer = await scim(method, path, content=content)
                sound(answer, (method, path, content[:60]))
                assert answer.status_code not in {201, 204}, (method, path, content[:60])
    assert await _unchanged(scim, database) == before


@pytest.mark.all
async def test_odd_headers_everywhere(scim: Scim, paths: list[str]) -> None:
    body = {"schemas": [], "userName": "ada", "displayName": "Team"}
    for headers, path in product(HEADERS, paths[: len(ENDPOINTS)]):
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        for method in ("GET", "POST", "PATCH"):
            sent = {**scim.headers, "Content-Type": "application/scim+json"}
            own = [(name.encode(), value.encode()) for name, value in sent.items() if name not in headers]
            request = httpx2.Request(method, f"http://127.0.0.1:8000{scim.base}{path}", json=body)
            fixed = [
                (name, value) for name, value in request.headers.raw if name.lower() in {b"host", b"content-length"}
            ]
            kept = [(name, value) for name, value in fixed if name.lower() not in {one.lower() for one, _ in raw}]
            request.headers = httpx2.Headers([*kept, *own, *raw])
            sound(await scim.http.send(request), (method, path, headers))


@pytest.mark.all
async def test_odd_values_in_every_place_of_a_user(scim: Scim) -> None:
    user = (await scim.make("ada"))["id"]
    values: list[Any] = [
        *(
            [],
            {},
            [[]],
            [{}],
            {"value": []},
            {"value": {}},
            [{"value": []}],
            [{"value": {"value": 1}}],
            [None],
            [[None]],
        ),
        *("", " ", "x" * 30_000, 0, -1, 1.5, 2**63, 2**70, 1e308, True, None, {"": ""}, {"$ref": []}, {"type": [1]}),
        *([{"primary": "true"}], [{"primary": []}], {"displayName": {}}, {"managerId": []}, "\u202e\u200b", "İß\ufb03"),
    ]
    names = [
        "userName",
        "name",
        "emails",
        "active",
        "externalId",
        "roles",
        "password",
        "id",
        "meta",
        "schemas",
        "groups",
    ]
    names += ["x509Certificates", "addresses", ENTERPRISE_SCHEMA, "urn:x:1", f"{ENTERPRISE_SCHEMA}:manager", "manager"]
    paths = [
        *names,
        "name.givenName",
        'emails[type eq "work"]',
        'emails[type eq "work"].value',
        "emails.value",
        "urn:x:1:a",
    ]
    for value in values:
        for name in names:
            for method, path in (("POST", "/Users"), ("PUT", f"/Users/{user}")):
                sound(await scim(method, path, {"userName": "ada", name: value}), (method, name, value))
        for path, op in product(paths, ("add", "replace", "remove")):
            body = patch_body({"op": op, "path": path, "value": value}, {"op": op, "value": {path: value}})
            sound(await scim("PATCH", f"/Users/{user}", body), (op, path, value))
            sound(await scim("PATCH", f"/Users/{user}", patch_body(body["Operations"][0])), (op, path, value))


@pytest.mark.all
async def test_odd_values_in_every_place_of_a_group(scim: Scim) -> None:
    user = (await scim.make("ada"))["id"]
    group = (await scim("POST", "/Groups", {"displayName": "Team"})).json()["id"]
    values: list[Any] = [
        *(
            [],
            {},
            [[]],
            [{}],
            [None],
            [{"value": []}],
            [{"value": None}],
            [{"value": user.upper()}],
            [user, user],
            user,
            1,
        ),
        *(
            [{"$ref": []}],
            [{"$ref": f"/Groups/{user}"}],
            [{"value": user, "type": 1}],
            "",
            "x" * 3_000,
            {"value": user},
        ),
        *([{"value": group}], [{"value": user}] * 3_000, [{"value": "\x00"}], True, None, "\ud7ff\u0001"),
    ]
    names = ["displayName", "members", "externalId", "id", "MEMBERS", "urn:x:1"]
    paths = [
        *names,
        f'members[value eq "{user}"]',
        "members.value",
        'members[display co "a"].value',
        "members[",
        "members ",
    ]
    for value in values:
        for name in names:
            for method, path in (("POST", "/Groups"), ("PUT", f"/Groups/{group}")):
                sound(await scim(method, path, {"displayName": "Team", name: value}), (method, name, value))
        for path, op in product(paths, ("add", "replace", "remove")):
            sound(
                await scim("PATCH", f"/Groups/{group}", patch_body({"op": op, "path": path, "value": value})),
                (op, path),
            )
            sound(await scim("PATCH", f"/Groups/{group}", patch_body({"op": op, "value": {path: value}})), (op, path))
        one = {"method": "PATCH", "path": value, "bulkId": value, "version": value, "data": value}
        body = {"schemas": [BULK_REQUEST], "Operations": [one, {**one, "method": "POST", "path": "/Groups"}]}
        sound(await scim("POST", "/Bulk", body), ("bulk", value))
