"""The style page: every component of `web/ui.html` in every state, beside the call that makes it. Development only.

Each component has a sample of its own in `templates/web/styleguide`: the page includes it, and shows it as written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from jinja2 import Environment
from starlette.responses import Response
from starlette.routing import Route

from stoa.web.guarding import open_page
from stoa.web.visiting import Shell, Visit

GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "Marks": ("badge", "state", "time", "moment", "age"),
    "Figures": ("figures", "figure", "progress", "chart"),
    "Notices": ("notice", "empty"),
    "Lists": ("list_tools", "table", "sort_head", "pager"),
    "Ways": ("tabs", "crumbs", "link", "post"),
    "Fields": ("field", "choice", "check", "text_area", "submit"),
    "Values": ("value", "diff", "person", "code", "copy"),
}
TONES: Final = ("ok", "info", "warn", "bad", "held", "stale", "off")
COLOURS: Final = (
    *("canvas", "surface", "raised", "sunken", "hover", "line", "line-strong", "control", "text", "muted"),
    *("accent", "accent-hover", "accent-soft"),
    *(name for tone in TONES for name in (tone, f"{tone}-soft")),
)


@dataclass(frozen=True, slots=True)
class Hostile:
    """What people and foreign systems write, and pages must bear."""

    markup: str = "<script>alert('x')</script> & \"more\""
    right_to_left: str = "محمد عبد الله (Sales)"
    emoji: str = "Zoë 👩🏽‍🚀 Ωmega 🇪🇺"
    overriding: str = "gpj.elif\u202egnp.exe"
    unbroken: str = "Donaudampfschifffahrtsgesellschaftskapitän" * 5
    long: str = "All work and no play. " * 455


@dataclass(frozen=True, slots=True)
class SampleAsk:
    """What a visitor asked of a list, as `Ask`."""

    search: str = ""
    filter: str = ""
    sort: str = "display_name"
    descending: bool = False
    after: tuple[str, ...] | None = None
    limit: int = 25
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class SampleListed:
    """A page of a list, as `Listed`."""

    ask: SampleAsk
    rows: Sequence[str] = ("Ada", "Grace")
    next_url: str | None = None
    first_url: str = "#first"
    csv_url: str | None = "#csv"

    @property
    def problem(self) -> str | None:
        """Why there are no rows."""
        return self.ask.problem

    def sort_url(self, name: str) -> str:
        """The address of the list in another order."""
        return f"#sort-{name}"


@dataclass(frozen=True, slots=True)
class Sample:
    """What the samples show, as of one moment."""

    now: datetime
    hostile: Hostile = Hostile()
    listed: SampleListed = SampleListed(SampleAsk(), next_url="#next")
    falling: SampleListed = SampleListed(SampleAsk(sort="size", descending=True))
    searched: SampleListed = SampleListed(SampleAsk(search="acme"), csv_url=None)
    last: SampleListed = SampleListed(SampleAsk(after=("Grace",)))
    refused: SampleListed = SampleListed(
        SampleAsk(filter='colour eq "red"', problem="There is no attribute colour (at position 1).")
    )
    many: Sequence[str] = tuple(f"Group {number}" for number in range(1, 31))
    applied: Sequence[int | None] = (12, 40, 0, 3, None, 96, 51, 14, 20, 33, 8, 2, 75, 60)
    held: Sequence[int] = (0, 0, 38, 0, 0, 0, 12, 0, 0, 4, 0, 0, 0, 6)

    @property
    def before(self) -> Mapping[str, object]:
        """Fields as they were."""
        return {"title": "Analyst", "manager": None, "emails": ["ada@example.org", "al@example.org"], "active": True}

    @property
    def after(self) -> Mapping[str, object]:
        """The same fields as they become."""
        return {"title": "Senior analyst", "manager": "Charles Babbage", "emails": ["ada@example.org"], "active": True}

    @property
    def seconds_ago(self) -> datetime:
        """A moment of the last minute."""
        return self.now - timedelta(seconds=20)

    @property
    def minutes_ago(self) -> datetime:
        """A moment of the last hour."""
        return self.now - timedelta(minutes=5)

    @property
    def days_ago(self) -> datetime:
        """A moment of this month, or the last."""
        return self.now - timedelta(days=3, hours=2)

    @property
    def years_ago(self) -> datetime:
        """A moment long gone."""
        return self.now - timedelta(days=800)

    @property
    def ahead(self) -> datetime:
        """A moment to come."""
        return self.now + timedelta(hours=7, minutes=1)

    @property
    def days(self) -> Sequence[datetime]:
        """The last fourteen days."""
        return [self.now - timedelta(days=13 - number) for number in range(14)]


@dataclass(frozen=True, slots=True)
class Shown:
    """One component on the page.

    Attributes:
        name: the component's, and its place on the page.
        template: of its sample.
        source: the sample as it is written.
    """

    name: str
    template: str
    source: str


@dataclass(frozen=True, slots=True)
class Group:
    """Components that belong together."""

    title: str
    samples: Sequence[Shown]


def groups(environment: Environment) -> list[Group]:
    """Every component with its sample."""
    return [Group(title, [_shown(environment, name) for name in names]) for title, names in GROUPS.items()]


def _shown(environment: Environment, name: str) -> Shown:
    template = f"web/styleguide/{name}.html"
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, template)
    return Shown(name, template, source.strip())


def styleguide_pages(shell: Shell) -> list[Route]:
    """The page's route; none unless this is a development server."""
    shown = groups(shell.pages.environment) if shell.development else []

    async def styleguide(visit: Visit) -> Response:
        return visit.page("web/styleguide.html", groups=shown, sample=Sample(visit.now), colours=COLOURS)

    return [open_page(shell, "/console/styleguide", styleguide)] if shell.development else []
