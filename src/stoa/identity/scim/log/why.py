"""Why somebody is not here, or not as the provider says: answered from the records of the provider, the resolver's
decisions and the log of requests.
"""

# ruff: noqa: S608 - columns come from code; every value is a bound parameter

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from stoa.db.transactions import TenantTx
from stoa.identity.scim.log import queries as log_queries
from stoa.identity.scim.log.model import Line
from stoa.identity.scim.log.store import Vault
from stoa.identity.scim.log.told import detail_of, told
from stoa.identity.scim.validation import is_object
from stoa.kernel.fold import fold
from stoa.kernel.ids import PersonId, RunId
from stoa.people.dates import tenant_today
from stoa.people.fields import PERSON_FIELDS
from stoa.people.model import Record
from stoa.people.overruling import overruled
from stoa.people.queries import RECORD, person_by_id, person_names, record_of
from stoa.people.rules import in_force
from stoa.tenants.model import Source

Gettext = Callable[[str], str]
Tone = Literal["ok", "info", "warn", "held", "bad"]
_MOST: Final = 20
_MOST_DECISIONS: Final = 500
_RECORDS: Final = f"""
SELECT {RECORD} FROM source_record r
WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.resource_id = ANY($3::uuid[])
ORDER BY r.present DESC, r.updated_at DESC LIMIT {_MOST}"""
_HOLDS: Final = """
SELECT field, run_id, made_at FROM hold
WHERE tenant_id = $1 AND resource_id = $2 AND state = 'held' ORDER BY made_at"""
# By index decision_recent, the latest first.
_DECISIONS: Final = """
SELECT at, subject, rule, detail, candidates, asserted FROM decision
WHERE tenant_id = $1 AND source_id = $2 AND outcome = 'refused' AND resolved_at IS NULL ORDER BY at DESC LIMIT $3"""
_LATEST: Final = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is known about somebody.

    Attributes:
        advice: what to do, and who can; empty where nothing needs to be done.
        candidates: who might have been meant, with their names.
        values: fields whose value is not in effect, and why.
    """

    tone: Tone
    title: str
    text: str
    advice: str = ""
    at: datetime | None = None
    person_id: PersonId | None = None
    person: str | None = None
    run_id: RunId | None = None
    request_id: UUID | None = None
    candidates: Sequence[tuple[UUID, str | None]] = ()
    values: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked: about whom, of which source."""

    tx: TenantTx
    source: Source
    name: str
    gettext: Gettext


async def why(tx: TenantTx, vault: Vault, source: Source, name: str, gettext: Gettext) -> list[Finding]:
    """What is known of somebody, the most telling first.

    name: a user name, external id, e-mail address, or the id of a user, a person or a request.
    """
    asked = _Asked(tx, source, name, gettext)
    known = await log_queries.records_known_as(tx, source.source_id, name)
    rows = await tx.fetch(_RECORDS, tx.tenant_id, source.source_id, known)
    records = [record_of(row) for row in rows]
    found = [finding for record in records for finding in await _of_record(asked, record)]
    if not any(record.present for record in records):
        found = [*await _refusals(asked), *found]
    requests = [
        line
        for request_id in (await log_queries.requests_about(tx, vault, source.source_id, name))[:_LATEST]
        if (line := await log_queries.one_line(tx, source.source_id, request_id)) is not None
    ]
    return [*found, *await _of_requests(asked, vault, requests, records)] or [_never(asked)]


# ------------------------------------------------------------------ records


async def _of_record(asked: _Asked, record: Record) -> list[Finding]:
    _, said = asked.gettext, {"source": asked.source.name}
    name = (await person_names(asked.tx, [record.person_id])).get(record.person_id)
    if not record.present:
        return [
            Finding(
                "warn",
                _("The provider has deleted them"),
                _("%(source)s sent a DELETE for this user; the history is kept.") % said,
                _("The admin of the identity provider assigns the user anew: they come back under their old id."),
                record.updated_at,
                record.person_id,
                name,
            )
        ]
    held = await _holds(asked, record, name)
    if not record.asserted_active:
        return [
            *held,
            Finding(
                "warn",
                _("The provider says that they are inactive"),
                _("%(source)s has sent active: false, as it does when somebody is unassigned or suspended.") % said,
                _("The admin of the identity provider assigns the user, or activates them there."),
                record.updated_at,
                record.person_id,
                name,
            ),
        ]
    return [*held, *await _of_active(asked, record, name)]


async def _of_active(asked: _Asked, record: Record, name: str | None) -> list[Finding]:
    _, tx = asked.gettext, asked.tx
    person = await person_by_id(tx, record.person_id)
    about = record.person_id, name
    says = ["active", *(one for one in PERSON_FIELDS if record.values.get(one) is not None)]
    others = await overruled(tx, record, says)
    found: list[Finding] = []
    dated = not in_force(record.asserted_active, record.values, await tenant_today(tx))
    if person is not None and not person.active:
        because = next((one for one in others if one.field == "active"), None)
        found.append(
            Finding(
                "warn",
                _("They are known, and have no access"),
                because.detail if because is not None else _("Another source says that they are not active."),
                _("Dates are the HR system's: whoever keeps them there corrects them.")
                if dated
                else _("Whoever keeps the other source corrects it there; the profile shows every source's word."),
                record.updated_at,
                *about,
            )
        )
    fields = [one for one in others if one.field != "active"]
    if fields:
        found.append(
            Finding(
                "info",
                _("Some of its values are not in effect"),
                _("For these, another word counts:"),
                _("An administrator of the tenant decides which source's word counts for a field."),
                record.updated_at,
                *about,
                values=[(one.field, one.detail) for one in fields[:_MOST]],
            )
        )
    if person is not None and person.active:
        text = _("The provider's record is here, and they have access.")
        found.append(Finding("ok", _("They are here and active"), text, "", record.updated_at, *about))
    return found


async def _holds(asked: _Asked, record: Record, name: str | None) -> list[Finding]:
    _ = asked.gettext
    rows = await asked.tx.fetch(_HOLDS, asked.tx.tenant_id, record.resource_id)
    return [
        Finding(
            "held",
            _("A change of theirs is held"),
            _("The provider's word on %(field)s is written down; what was before stays in force.")
            % {"field": row["field"]},
            _("An administrator of the tenant approves or rejects the run."),
            row["made_at"],
            record.person_id,
            name,
            row["run_id"],
        )
        for row in rows
    ]


# ------------------------------------------------------------------ decisions


async def _refusals(asked: _Asked) -> list[Finding]:
    _, tx = asked.gettext, asked.tx
    rows = await tx.fetch(_DECISIONS, tx.tenant_id, asked.source.source_id, _MOST_DECISIONS)
    rows = [row for row in rows if fold(asked.name) in _names(row["subject"], row["asserted"])][:_MOST]
    names = await person_names(tx, list({one for row in rows for one in row["candidates"]}))
    return [
        Finding(
            "bad",
            _("Refused: it could not be told who they are"),
            row["detail"],
            _(
                "The admin of the identity provider, or of the HR system, corrects the identifier that two people "
                "share; or an administrator of the tenant decides who it is."
            ),
            row["at"],
            candidates=[(one, names.get(one)) for one in row["candidates"]],
        )
        for row in rows
    ]


def _names(subject: str, asserted: Mapping[str, object] | None) -> set[str]:
    """By which a refused user may be looked for, folded."""
    said = asserted or {}
    values = said.get("values")
    more: list[object] = [said.get("scim_external_id"), *(values.values() if is_object(values) else ())]
    return {fold(subject), *(fold(one) for one in more if isinstance(one, str))}


# ------------------------------------------------------------------ requests


async def _of_requests(asked: _Asked, vault: Vault, lines: Sequence[Line], records: Sequence[Record]) -> list[Finding]:
    """What the log tells: the latest request that failed, where nothing went well since; and one that only asked."""
    _ = asked.gettext
    if not lines:
        return []
    latest = next((line for line in lines if line.is_write), None)
    if latest is None:
        if any(record.present for record in records):
            return []
        return [
            Finding(
                "warn",
                _("The provider asked for them, and did not send them"),
                _("It looked whether there is such a user, was told that there is none, and has sent nothing since."),
                _(
                    "The admin of the identity provider looks at the user in its provisioning log: whether they are "
                    "assigned, in scope, and have all values that the mapping needs."
                ),
                lines[0].at,
                request_id=lines[0].request_id,
            )
        ]
    if latest.status < 400:
        return []
    detail = detail_of((await log_queries.opened(asked.tx, vault, latest.request_id)).answer)
    words = told(latest, detail, asked.gettext)
    title = _("The latest request about them was answered %(status)s") % {"status": latest.status}
    return [Finding("bad", title, words.why or words.what, words.advice, latest.at, request_id=latest.request_id)]


def _never(asked: _Asked) -> Finding:
    _ = asked.gettext
    return Finding(
        "info",
        _("The provider has never asked for them"),
        _("%(source)s has no record of that name here, and no request about it in the days that are kept.")
        % {"source": asked.source.name},
        _(
            "The admin of the identity provider looks whether the user is assigned to the application, is in the scope "
            "of its provisioning, and has the values that the mapping needs; and whether the name is spelt so there."
        ),
    )
