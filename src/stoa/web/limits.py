"""How much of the public API a tenant may use: the limits, and what is used of them in this minute."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.budget_rules import CLIENT_PER_MINUTE, HIGHEST_PER_MINUTE, TENANT_PER_MINUTE, seconds_left, window_at
from stoa.access.limits import Limits, change_limits, limits, quotas, use_of_budgets
from stoa.access.permissions import Permission
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

_LIMITS: Final = "/settings/limits"
_FIELDS: Final = ("api_per_minute", "client_per_minute")
_LONGEST: Final = 12


def limit_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    return [
        tenant_page(shell, _LIMITS, _show, needs=Permission.TENANT_VIEW),
        tenant_action(shell, _LIMITS, _save, needs=Permission.LIMITS_CHANGE),
    ]


async def _show(visit: Visit) -> Response:
    async with visit.tx() as tx:
        own = await limits(tx)
    given = {name: str(number) if (number := getattr(own, name)) is not None else "" for name in _FIELDS}
    return await _page(visit, given, {})


async def _save(visit: Visit) -> Response:
    form = await visit.form()
    given = {name: form.text(name, most=40) for name in _FIELDS}
    numbers = {name: _number(text) for name, text in given.items()}
    wrong = {name: _what_to_enter(visit) for name, number in numbers.items() if number == 0}
    if wrong:
        return await _page(visit, given, wrong)
    async with visit.writing() as tx:
        await change_limits(tx, Limits(numbers["api_per_minute"], numbers["client_per_minute"]))
    return visit.see(_LIMITS, said=visit.gettext("The limits are saved. They hold within a minute."))


def _number(text: str) -> int | None:
    """What was entered: a number, None for nothing, and 0 for what is no limit. Spaces and commas part thousands."""
    plain = text.replace(",", "").replace(" ", "").replace("\N{NARROW NO-BREAK SPACE}", "")
    if not plain:
        return None
    if not (plain.isascii() and plain.isdigit() and len(plain) <= _LONGEST):
        return 0
    return number if 1 <= (number := int(plain)) <= HIGHEST_PER_MINUTE else 0


def _what_to_enter(visit: Visit) -> str:
    return visit.gettext("Enter a whole number from 1 to 10,000,000, or nothing.")


async def _page(visit: Visit, given: Mapping[str, str], wrong: Mapping[str, str]) -> Response:
    # By the clock that the budgets go by, which is not a sandbox's.
    at = visit.shell.database.clock().timestamp()
    async with visit.tx() as tx:
        held, uses = await quotas(tx), await use_of_budgets(tx, at)
    return visit.page(
        "tenants/limits.html",
        status=422 if wrong else 200,
        held=held,
        uses=uses,
        ends_in=seconds_left(window_at(at), at),
        given=given,
        errors={name: wrong.get(name) for name in _FIELDS},
        may_change=visit.may(Permission.LIMITS_CHANGE),
        usual={"api_per_minute": TENANT_PER_MINUTE, "client_per_minute": CLIENT_PER_MINUTE},
    )
