"""`stoa openapi` prints what the server gives, without a server or a database."""

import json
import os

from stoa.db import embedded
from tests.api.calling import BASE_URL, serving
from tests.commands import run_command


async def test_it_is_the_document_of_the_server(server: embedded.Server) -> None:
    # Nothing of an installation is in its environment.
    ran = run_command(("openapi", "--base-url", BASE_URL), {"PATH": os.environ["PATH"]})
    assert (ran.code, ran.err) == (0, "")
    async with serving(server) as client:
        assert json.loads(ran.out) == (await client.get("/v1/openapi.json")).json()


def test_the_address_is_that_of_the_settings_unless_another_is_given() -> None:
    settings = {"PATH": os.environ["PATH"], "STOA_BASE_URL": "https://stoa.example.com/"}
    kept = json.loads(run_command(("openapi",), settings).out)
    given = json.loads(run_command(("openapi", "--base-url", "https://other.example/"), settings).out)
    assert kept["servers"][0]["url"] == "https://stoa.example.com"
    assert given["servers"][0]["url"] == "https://other.example"
    assert kept["paths"] == given["paths"]
