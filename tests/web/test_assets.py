"""The static files: what the build makes, how they are named, and in which coding they are sent."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import httpx2
import pytest

from stoa.web.assets import BUILT, IDENTITY, chosen_coding, load_assets

OFFERED = ("br", "gzip", IDENTITY)
# What every page of the console loads, and what one with charts adds.
EVERY_PAGE = ("stoa.css", "theme.js", "htmx.js", "stoa.js", "stoa.svg")
WITH_CHARTS = ("charts.js", "uplot.js", "uplot.css")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, IDENTITY),
        ("", IDENTITY),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("deflate", IDENTITY),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("br;q=0.5,gzip;q=0.5", "br"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0.001, identity;q=1", IDENTITY),
        ("gzip;q=0.4, identity;q=0.2", "gzip"),
        ("*", "br"),
        ("*;q=0.3, gzip;q=0.9", "gzip"),
        ("*;q=0", IDENTITY),
        ("br; q=0 , *;q=0.1", "gzip"),
        ("gzip;q=2", IDENTITY),
        ("gzip;q=-1", IDENTITY),
        ("gzip;q=nan", IDENTITY),
        ("gzip;q=", IDENTITY),
        ("gzip;level=9;q=0.7", "gzip"),
        (",,;q=1, ,gzip", "gzip"),
    ],
)
def test_the_coding_is_the_one_the_browser_likes_best(accept: str | None, expected: str) -> None:
    assert chosen_coding(accept, OFFERED) == expected


def test_a_file_without_compressed_copies_is_sent_as_it_is() -> None:
    assert chosen_coding("br, gzip", [IDENTITY]) == IDENTITY


@pytest.mark.parametrize(("accept", "coding"), [("br, gzip", "br"), ("gzip", "gzip"), ("identity", None)])
async def test_a_file_is_sent_in_its_coding_and_caches_are_told(
    client: httpx2.AsyncClient, accept: str, coding: str | None
) -> None:
    assets = load_assets()
    asset = assets.by_name["stoa.css"]
    async with client.stream("GET", assets.url("stoa.css"), headers={"Accept-Encoding": accept}) as answer:
        sent = b"".join([part async for part in answer.aiter_raw()])
    assert sent == asset.codings[coding or IDENTITY]
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["content-length"] == str(len(sent))


def test_a_compressed_copy_holds_the_file_and_is_smaller() -> None:
    for asset in load_assets().by_name.values():
        plain = asset.codings[IDENTITY]
        assert gzip.decompress(asset.codings["gzip"]) == plain, asset.name
        assert all(len(copy) < len(plain) for coding, copy in asset.codings.items() if coding != IDENTITY), asset.name


def test_a_name_carries_the_hash_of_its_content() -> None:
    for name, asset in load_assets().by_name.items():
        digest = hashlib.sha256(asset.codings[IDENTITY]).hexdigest()[:16]
        stem, _, ending = name.rpartition(".")
        assert asset.name == f"{stem}.{digest}.{ending}"


def test_a_script_names_what_it_loads_by_its_hashed_name() -> None:
    assets = load_assets()
    for name in ("stoa.js", "charts.js"):
        loaded = re.findall(rb'"\./([^"]+)"', assets.by_name[name].codings[IDENTITY])
        assert loaded, name
        assert {path.decode() for path in loaded} <= set(assets.by_hashed_name)


def test_the_build_leaves_nothing_that_the_manifest_does_not_name() -> None:
    named = set(json.loads((BUILT / "manifest.json").read_bytes()).values())
    files = {re.sub(r"\.(br|gz)$", "", path.name) for path in BUILT.iterdir() if not path.name.startswith(".")}
    assert files == named | {"manifest.json"}


@pytest.mark.parametrize(
    ("names", "most"), [(EVERY_PAGE, 50_000), ((*EVERY_PAGE, *WITH_CHARTS), 80_000)], ids=["every page", "with charts"]
)
@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_the_files_of_a_first_visit_are_few_bytes(names: tuple[str, ...], most: int, coding: str) -> None:
    by_name = load_assets().by_name
    assert sum(len(by_name[name].codings[coding]) for name in names) < most


def test_a_file_needs_no_compressed_copy(tmp_path: Path) -> None:
    (tmp_path / "a.0.css").write_text("a{}")
    (tmp_path / "manifest.json").write_text('{"a.css": "a.0.css"}')
    assert dict(load_assets(tmp_path).by_name["a.css"].codings) == {IDENTITY: b"a{}"}
