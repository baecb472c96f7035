"""The pages' templates, compiled once for each process of tests: to compile them takes longer than most tests do."""

from functools import cache

from stoa.web.assets import load_assets
from stoa.web.templates import Pages, make_pages


@cache
def shared_pages(*, development: bool = False) -> Pages:
    """What renders pages, for tests that change nothing about it."""
    return make_pages(load_assets(), development=development)
