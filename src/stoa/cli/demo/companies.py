"""The simulated companies, as the demo asks for them over the simulators' control interface."""

import json
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stoa.kernel.problems import Misconfigured
from stoa.outbound.http import HttpClient
from stoa.outbound.model import Timeouts

# A large company is provisioned in one request, which answers when it is done.
_LONG = Timeouts(connect=5, read=900, total=900)


@dataclass(frozen=True, slots=True)
class Company:
    """A simulated company. size: active workers and future hires."""

    slug: str
    name: str
    domain: str
    idp: str
    size: int
    counts: Mapping[str, int]
    workday: Mapping[str, str]

    @property
    def idp_name(self) -> str:
        """The identity provider's name as an admin would write it."""
        return "Okta" if self.idp == "okta" else "Entra ID"


@dataclass(frozen=True, slots=True)
class Simulators:
    """The running simulators."""

    base_url: str
    client: HttpClient

    @property
    def address(self) -> str:
        """host:port."""
        return self.base_url.removeprefix("http://")

    async def companies(self) -> list[Company]:
        """Every company as it stands today."""
        return [_company(c) for c in (await self._ask("GET", "/control/companies"))["companies"]]

    async def company(self, slug: str) -> Company:
        """One company as it stands today."""
        return _company(await self._ask("GET", f"/control/companies/{slug}"))

    async def departments(self, slug: str, most: int) -> list[str]:
        """The largest departments of a company, of those on the first page of its workers."""
        workers = (await self._ask("GET", f"/control/companies/{slug}/workers"))["workers"]
        counted = Counter(one["department"] for one in workers if one["active"])
        return [name for name, _ in counted.most_common(most)]

    async def push_group(self, slug: str, name: str) -> None:
        """Has the provider push a department as a group from its next cycle on."""
        path = f"/control/companies/{slug}/groups/{quote(name, safe='')}"
        await self._ask("PUT", path, {"name": name, "department": name})

    async def provision(
        self, slug: str, scim_base_url: str, token: str, mode: str = "full", concurrency: int = 8
    ) -> dict[str, Any]:
        """Has the company's identity provider push its people; gives the provider's own report."""
        order = {"scim_base_url": scim_base_url, "token": token, "mode": mode, "concurrency": concurrency}
        lines = await self._send("POST", f"/control/companies/{slug}/provision", order)
        return json.loads(lines.splitlines()[-1])["result"]

    async def lose(self, slug: str, count: int) -> None:
        """Has the company's mapping take the application from so many of its people, by mistake."""
        await self._ask("POST", f"/control/companies/{slug}/wrong-mapping", {"count": count})

    async def find(self, slug: str) -> None:
        """Ends that mistake."""
        await self._send("DELETE", f"/control/companies/{slug}/wrong-mapping", None)

    async def advance(self, slug: str, days: int = 1) -> dict[str, int]:
        """Days pass in the company; gives how much of what happened."""
        return (await self._ask("POST", f"/control/companies/{slug}/advance", {"days": days}))["counts"]

    async def fault(self, slug: str, fault: str) -> None:
        """Breaks the company's report in a named way until it is mended."""
        await self._ask("POST", f"/control/companies/{slug}/faults", {"fault": fault})

    async def mend(self, slug: str) -> None:
        """Ends the fault."""
        await self._send("DELETE", f"/control/companies/{slug}/faults", None)

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        return json.loads(await self._send(method, path, body))

    async def _send(self, method: str, path: str, body: object) -> bytes:
        response = await self.client.request(
            method, f"{self.base_url}{path}", content=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"}, timeout=_LONG,
            allow=frozenset({self.address}), repeatable=False,
        )  # fmt: skip
        return response.body


def _company(c: Mapping[str, Any]) -> Company:
    return Company(c["slug"], c["name"], c["domain"], c["idp"], c["size"], c["counts"], c["workday"])


@asynccontextmanager
async def read_simulators(ready_file: Path) -> AsyncGenerator[Simulators]:
    """The simulators that wrote this file when they were ready."""
    try:
        about = json.loads(ready_file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Misconfigured(
            "The simulators did not start.", hint="Try `stoa-simulators` alone; it says why."
        ) from error
    async with HttpClient(user_agent="Stoa demo") as client:
        yield Simulators(about["base_url"], client)
