"""The documentation that the server gives of its own public API: reference, problems and change log.

Open to everybody: it is the OpenAPI document for readers, so that both say the same, and holds nothing of any tenant.
Nothing on the pages is asked of elsewhere.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol
from xml.etree import ElementTree

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stoa.kernel.problems import NotFound
from stoa.web.guarding import open_page
from stoa.web.reference_fields import Json
from stoa.web.reference_reading import Book, book_of
from stoa.web.visiting import Shell, Visit

_API: Final = "/docs/api"
_PROBLEMS: Final = "/docs/problems"
_CHANGES: Final = "/docs/changelog"
_ATOM: Final = "http://www.w3.org/2005/Atom"
_LONGEST_SEARCH: Final = 200
_HINT: Final = "The API reference at /docs/api lists what there is."


class Kind(Protocol):
    """A kind of problem, as `api.problems` tells it."""

    @property
    def code(self) -> str:
        """Stands in every document of this kind."""
        ...

    @property
    def status(self) -> int:
        """Of HTTP."""
        ...

    @property
    def title(self) -> str:
        """What it means, in a sentence."""
        ...

    @property
    def about(self) -> str:
        """Further paragraphs, such as what to do; or an empty text."""
        ...


class Line(Protocol):
    """A line of the change log, as `api.versions` tells it."""

    @property
    def kind(self) -> str:
        """`added`, `changed`, `deprecated` or `removed`."""
        ...

    @property
    def text(self) -> str:
        """What is new."""
        ...

    @property
    def breaking(self) -> bool:
        """Whether a client may have to act."""
        ...


@dataclass(frozen=True)
class Reference:
    """What the pages are made of.

    Attributes:
        document: gives the OpenAPI document; asked once, when the first page is.
        kinds: gives every kind of problem by its code.
        changes: version of the API to what came with it, newest first.
    """

    document: Callable[[], Json]
    kinds: Callable[[], Mapping[str, Kind]]
    changes: Mapping[str, Sequence[Line]]

    @cached_property
    def book(self) -> Book:
        """The document, read."""
        return book_of(self.document())


def reference_pages(shell: Shell, reference: Reference) -> list[Route]:
    """Their routes."""

    def at(handler: Callable[[Visit, Reference], Awaitable[Response]]) -> Callable[[Visit], Awaitable[Response]]:
        async def handle(visit: Visit) -> Response:
            return await handler(visit, reference)

        return handle

    return [
        open_page(shell, "/docs", _to_reference),
        open_page(shell, _API, at(_overview)),
        open_page(shell, f"{_API}/{{tag}}", at(_tag)),
        open_page(shell, _PROBLEMS, at(_problems)),
        open_page(shell, f"{_PROBLEMS}/{{code}}", at(_problem)),
        open_page(shell, _CHANGES, at(_change_log)),
        open_page(shell, f"{_CHANGES}.atom", at(_feed)),
    ]


async def _to_reference(_: Visit) -> Response:
    return RedirectResponse(_API, 307)


async def _overview(visit: Visit, reference: Reference) -> Response:
    search = visit.request.query_params.get("q", "").strip()[:_LONGEST_SEARCH]
    wanted = search.casefold().split()
    found = {one.id for one in reference.book.operations if all(word in one.words for word in wanted)}
    return visit.page("reference/overview.html", book=reference.book, search=search, found=found)


async def _tag(visit: Visit, reference: Reference) -> Response:
    tag = reference.book.tag(visit.request.path_params["tag"])
    if tag is None:
        raise NotFound("The API has no such part.", hint=_HINT)
    return visit.page("reference/tag.html", book=reference.book, tag=tag)


async def _problems(visit: Visit, reference: Reference) -> Response:
    answered = {code for one in reference.book.operations for codes in one.refusals.values() for code in codes}
    kinds = sorted(reference.kinds().values(), key=lambda kind: (kind.status, kind.code))
    return visit.page(
        "reference/problems.html",
        book=reference.book,
        of_api=[kind for kind in kinds if kind.code in answered],
        others=[kind for kind in kinds if kind.code not in answered],
    )


async def _problem(visit: Visit, reference: Reference) -> Response:
    kind = reference.kinds().get(visit.request.path_params["code"])
    if kind is None:
        raise NotFound("There is no problem of this code.", hint="The list at /docs/problems has every one.")
    return visit.page(
        "reference/problem.html",
        book=reference.book,
        kind=kind,
        paragraphs=[part for part in kind.about.split("\n\n") if part],
        operations=reference.book.answering(kind.code),
    )


async def _change_log(visit: Visit, reference: Reference) -> Response:
    return visit.page("reference/changelog.html", book=reference.book, changes=reference.changes)


async def _feed(_: Visit, reference: Reference) -> Response:
    base_url = reference.book.base_url
    ElementTree.register_namespace("", _ATOM)
    feed = ElementTree.Element(f"{{{_ATOM}}}feed", {"{http://www.w3.org/XML/1998/namespace}lang": "en"})

    def add(parent: ElementTree.Element, name: str, text: str = "", **given: str) -> ElementTree.Element:
        element = ElementTree.SubElement(parent, f"{{{_ATOM}}}{name}", given)
        element.text = text or None
        return element

    add(feed, "id", f"{base_url}{_CHANGES}")
    add(feed, "title", "Stoa API: changes")
    add(feed, "updated", f"{next(iter(reference.changes))}T00:00:00Z")
    add(add(feed, "author"), "name", "Stoa")
    add(feed, "link", rel="self", type="application/atom+xml", href=f"{base_url}{_CHANGES}.atom")
    add(feed, "link", rel="alternate", type="text/html", href=f"{base_url}{_CHANGES}")
    for version, lines in reference.changes.items():
        entry = add(feed, "entry")
        add(entry, "id", f"{base_url}{_CHANGES}#v{version}")
        add(entry, "title", f"Version {version}")
        add(entry, "updated", f"{version}T00:00:00Z")
        add(entry, "link", rel="alternate", type="text/html", href=f"{base_url}{_CHANGES}#v{version}")
        add(entry, "content", "\n".join(f"{line.kind}: {line.text}" for line in lines), type="text")
    text = ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)
    return Response(text, media_type="application/atom+xml", headers={"Cache-Control": "public, max-age=300"})
