"""SCIM requests with retries: what every provider does alike once it knows what to send."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import httpx2

JsonObject = dict[str, Any]

ATTEMPTS: Final = 6
LONGEST_WAIT: Final = 30.0
_RETRIED: Final = frozenset({429, 500, 502, 503, 504})


class Refused(Exception):
    """A request that the server refused for good, or that could not be sent.

    `status` is 0 when there was no answer; `attempts` says how often it was sent.
    """

    def __init__(self, method: str, path: str, status: int, detail: str, attempts: int = 1) -> None:
        super().__init__(f"{method} {path}: {status or 'no answer'} {detail}".rstrip())
        self.status = status
        self.attempts = attempts


@dataclass(frozen=True, slots=True)
class Found:
    """What a pre-check found on the server: a user or a group."""

    scim_id: str
    resource: JsonObject


@dataclass(slots=True)
class ScimWire:
    """A SCIM base URL and token, with the counts of requests made.

    `base_url` has no query; `flag` is the query that Entra's tenant URL carries into every request (empty for none).
    429 and 5xx are tried again up to five times, after `Retry-After` seconds or with doubling pauses.
    """

    client: httpx2.AsyncClient
    base_url: str
    headers: Mapping[str, str]
    flag: str = ""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    requests: int = field(default=0)
    retries: int = field(default=0)

    async def get(self, path: str, query: str = "") -> JsonObject:
        """The body of a GET. `query` is already encoded, for the encodings differ between products."""
        return await self.send("GET", path, None, query)

    async def send(self, method: str, path: str, body: JsonObject | None = None, query: str = "") -> JsonObject:
        """The answer's body, empty when there was none. Raises Refused."""
        for attempt in range(1, ATTEMPTS + 1):
            self.requests += 1
            try:
                response = await self._once(method, path, body, query)
            except httpx2.TransportError as error:
                refused = Refused(method, path, 0, f"{type(error).__name__}: {error}", attempt)
                wait = _backoff(attempt)
            else:
                if response.is_success:
                    return _body(response, method, path)
                refused = Refused(method, path, response.status_code, _detail(response), attempt)
                if response.status_code not in _RETRIED:
                    raise refused
                wait = _wait(response, attempt)
            if attempt == ATTEMPTS:
                raise refused
            self.retries += 1
            await self.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def _once(self, method: str, path: str, body: JsonObject | None, query: str) -> httpx2.Response:
        full = "&".join(part for part in (self.flag, query) if part)
        url = f"{self.base_url}{path}{'?' if full else ''}{full}"
        if body is None:
            return await self.client.request(method, url, headers=self.headers)
        headers = {**self.headers, "Content-Type": "application/scim+json; charset=utf-8"}
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return await self.client.request(method, url, headers=headers, content=content)


def _backoff(attempt: int) -> float:
    return min(LONGEST_WAIT, 0.25 * 2 ** (attempt - 1))


def _wait(response: httpx2.Response, attempt: int) -> float:
    stated = response.headers.get("Retry-After", "")
    return min(LONGEST_WAIT, float(stated)) if stated.isdecimal() else _backoff(attempt)


def _parsed(response: httpx2.Response) -> JsonObject | None:
    """The answer as a JSON object; None when it is not one."""
    try:
        value: object = json.loads(response.content)
    except ValueError:
        return None
    return cast("JsonObject", value) if isinstance(value, dict) else None


def _body(response: httpx2.Response, method: str, path: str) -> JsonObject:
    if not response.content:
        return {}
    body = _parsed(response)
    if body is None:
        raise Refused(method, path, response.status_code, "the answer is not a JSON object")
    return body


def _detail(response: httpx2.Response) -> str:
    body = _parsed(response) or {}
    parts = (body.get("scimType"), body.get("detail"))
    return " ".join(str(part) for part in parts if part) or response.text[:200]


def resources(answer: JsonObject) -> list[JsonObject]:
    """The users or groups of a list response; an absent list is an empty one."""
    return cast("list[JsonObject]", answer.get("Resources") or [])


def id_of(resource: JsonObject, method: str, path: str) -> str:
    """The resource's SCIM id. Raises Refused when the server sent none."""
    scim_id = resource.get("id")
    if not isinstance(scim_id, str) or not scim_id:
        raise Refused(method, path, 0, "the answer has no id")
    return scim_id
