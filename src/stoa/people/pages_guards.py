"""From where on effects of single requests wait for an admin: the page where it is set, for all sources or for one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.kernel.ids import SourceId, parse_id
from stoa.kernel.problems import BadInput, NotFound
from stoa.people.guard_rules import DEFAULTS, LONGEST_WINDOW, MOST, Guard, GuardKind, checked_guard
from stoa.people.thresholds import SetGuard, drop_guard, guards, in_force, set_guard
from stoa.tenants import queries as tenants
from stoa.tenants.model import Source
from stoa.web.forms import Form
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

_PATH: Final = "/settings/guards"
_FIGURES: Final = ("absolute", "percent", "floor", "window_minutes")
# Whose single requests are guarded.
_KINDS: Final = frozenset({"idp", "api"})


@dataclass(frozen=True, slots=True)
class _Line:
    """One guard in the form.

    Attributes:
        own: whether it is set here; else what holds comes from the tenant or is the default.
        usual: what holds where it is not set here.
        given: the fields as text.
    """

    kind: GuardKind
    own: bool
    usual: Guard
    given: Mapping[str, str]


def guard_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    return [
        tenant_page(shell, _PATH, _show, needs=Permission.TENANT_VIEW),
        tenant_action(shell, _PATH, _save, needs=Permission.TENANT_CHANGE),
    ]


async def _show(visit: Visit) -> Response:
    return await _page(visit, _source_id(visit, visit.request.query_params.get("source", "")), {}, {})


async def _save(visit: Visit) -> Response:
    form = await visit.form()
    source_id = _source_id(visit, form.text("source", most=40))
    given = {kind: _given(form, kind) for kind in GuardKind}
    wanted: dict[GuardKind, Guard | None] = {}
    errors: dict[str, str] = {}
    for kind, fields in given.items():
        try:
            wanted[kind] = _guard(visit, fields)
        except BadInput as problem:
            errors[kind] = " ".join(filter(None, (problem.detail, problem.hint)))
    if errors:
        return await _page(visit, source_id, given, errors)
    async with visit.writing() as tx:
        for kind, guard in wanted.items():
            if guard is None:
                await drop_guard(tx, kind, source_id)
            else:
                await set_guard(tx, kind, source_id, guard)
    said = visit.gettext("Saved. It holds from the next request on; what waits already still waits.")
    return visit.see(_PATH if source_id is None else f"{_PATH}?source={source_id}", said=said)


def _source_id(visit: Visit, given: str) -> SourceId | None:
    found = parse_id(given) if given else None
    if given and found is None:
        raise _no_source(visit)
    return None if found is None else SourceId(found)


def _no_source(visit: Visit) -> NotFound:
    return NotFound(
        visit.gettext("There is no such source."), hint=visit.gettext("The list of connections shows those there are.")
    )


def _given(form: Form, kind: GuardKind) -> dict[str, str]:
    return {name: form.text(f"{kind}-{name}", most=40) for name in ("mode", *_FIGURES)}


def _guard(visit: Visit, given: Mapping[str, str]) -> Guard | None:
    """The guard of a form's part; None to have none here. Raises BadInput."""
    match given["mode"]:
        case "usual":
            return None
        case "off":
            return Guard(enabled=False)
        case _:
            absolute, floor = _number(visit, given["absolute"]), _number(visit, given["floor"])
            minutes = _number(visit, given["window_minutes"])
            return checked_guard(Guard(True, absolute, _share(visit, given["percent"]), floor, minutes))


def _number(visit: Visit, text: str) -> int:
    plain = text.replace(",", "").replace(" ", "")
    if not (plain.isascii() and plain.isdigit() and len(plain) <= len(str(MOST))):
        raise BadInput(visit.gettext("A number is missing, or is no whole number."))
    return int(plain)


def _share(visit: Visit, text: str) -> float:
    try:
        share = float(text.replace(",", "."))
    except ValueError:
        share = -1.0
    if not 0 <= share <= 100:
        raise BadInput(visit.gettext("The share is no number from 0 to 100."))
    return share


async def _page(
    visit: Visit,
    source_id: SourceId | None,
    given: Mapping[GuardKind, Mapping[str, str]],
    errors: Mapping[str, str],
) -> Response:
    async with visit.tx() as tx:
        found, sources = await guards(tx), await tenants.sources(tx)
    guarded = [source for source in sources if source.kind in _KINDS]
    one = next((source for source in guarded if source.source_id == source_id), None)
    if source_id is not None and one is None:
        raise _no_source(visit)
    return visit.page(
        "people/guards.html",
        status=422 if errors else 200,
        source=one,
        sources=[(source, _differs(found, source)) for source in guarded],
        lines=[_line(found, source_id, kind, given.get(kind)) for kind in GuardKind],
        errors=errors,
        most=MOST,
        longest_window=LONGEST_WINDOW,
        may_change=visit.may(Permission.TENANT_CHANGE),
        path=visit.base + _PATH,
    )


def _differs(found: list[SetGuard], source: Source) -> bool:
    return any(one.source_id == source.source_id for one in found)


def _line(found: list[SetGuard], source_id: SourceId | None, kind: GuardKind, given: Mapping[str, str] | None) -> _Line:
    own = next((one.guard for one in found if one.kind is kind and one.source_id == source_id), None)
    usual = DEFAULTS[kind] if source_id is None else in_force(found, None)[kind]
    if given is None:
        shown = own or usual
        figures = DEFAULTS[kind] if not shown.enabled else shown
        # Never as a power of ten, nor cut short: what is shown is saved again.
        given = {name: f"{getattr(figures, name):.12g}" for name in _FIGURES}
        given["mode"] = "usual" if own is None else ("on" if own.enabled else "off")
    return _Line(kind, own is not None, usual, given)
