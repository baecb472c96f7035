"""Decisions as an admin reads them: whom a source could not tell, and what was said of it."""

# ruff: noqa: S608 - the text is code; every value is a bound parameter

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.cursors import Position, id_mark, mark_of, moment_mark, read_position
from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, Typed, sql
from stoa.kernel.ids import PersonId, RunId, SourceId
from stoa.kernel.problems import NotFound
from stoa.people.fields import BY_NAME, Value, from_json
from stoa.people.matching import Word
from stoa.people.model import Asserted, Person
from stoa.people.queries import PERSON, person_of
from stoa.people.redirects import survivors


class DecisionState(StrEnum):
    """OPEN waits for somebody; DECIDED waits for the source's next try; ENDED is over."""

    OPEN = "open"
    DECIDED = "decided"
    ENDED = "ended"


class NoSuchDecision(NotFound):
    """The tenant has no decision with this id. The list of decisions shows those that there are."""

    code = "no_such_decision"


@dataclass(frozen=True, slots=True)
class Decision:
    """One subject that a source could not tell.

    Attributes:
        subject: what the source calls them by.
        rule, detail: why it was refused, when it last was; candidates: who may be meant.
        said: what the source said last; None where it is not kept.
        began_at, seen_at, times: since when, when last, and how often the source tried.
        run_id: the run of the last try; None for a request.
        word: what an admin decided; ended: `used`, or `understood` without a word.
    """

    decision_id: UUID
    state: DecisionState
    source_id: SourceId
    source_name: str
    source_kind: str
    subject: str
    subject_key: str
    rule: str
    detail: str
    candidates: Sequence[PersonId]
    said: Asserted | None
    began_at: datetime
    seen_at: datetime
    times: int
    run_id: RunId | None
    word: Word | None
    person_id: PersonId | None
    decided_by: str | None
    decided_at: datetime | None
    note: str | None
    ended: str | None
    ended_at: datetime | None
    version: int

    @property
    def can_be_applied(self) -> bool:
        """Whether the source's word is kept in a form in which it can be done again here: a user's over SCIM. A report
        is read anew, an API client sends it again, and whoever signs in tries again.
        """
        signs_in = self.said is not None and self.said.raw is not None and "issuer" in self.said.raw
        return self.source_kind == "idp" and self.said is not None and not signs_in


STATE: Final = """CASE WHEN d.resolved_at IS NOT NULL THEN 'ended' WHEN d.verdict IS NOT NULL THEN 'decided'
  ELSE 'open' END"""
SELECT: Final = f"""SELECT d.decision_id, d.decision_id AS id, {STATE} AS state, d.source_id, s.name AS source_name,
  s.kind AS source_kind, d.subject, d.subject_key, d.rule, d.detail, d.candidates, d.asserted, d.at, d.seen_at, d.times,
  d.run_id, d.verdict, d.verdict_person, d.verdict_by, d.verdict_at, d.verdict_note, d.ended, d.resolved_at, d.version
FROM decision d JOIN source s ON s.tenant_id = $1 AND s.source_id = d.source_id
WHERE d.tenant_id = $1 AND d.subject_key IS NOT NULL"""
_SHOWN: Final[Mapping[DecisionState, str]] = {
    DecisionState.OPEN: "d.resolved_at IS NULL AND d.verdict IS NULL",
    DecisionState.DECIDED: "d.resolved_at IS NULL AND d.verdict IS NOT NULL",
    DecisionState.ENDED: "d.resolved_at IS NOT NULL",
}

CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID),
        Attribute("state", case_exact=True),
        Attribute("source"),
        Attribute("source_id", AttrType.UUID),
        Attribute("subject", case_exact=True),
        Attribute("rule", case_exact=True),
        Attribute("times", AttrType.INTEGER),
        Attribute("began_at", AttrType.DATETIME),
        Attribute("seen_at", AttrType.DATETIME),
    )
)
BINDING: Final[Binding] = {
    "id": Column("d.decision_id"),
    "state": Column(STATE),
    "source": Column("s.name", "s.name_key"),
    "source_id": Column("d.source_id"),
    "subject": Column("d.subject"),
    "rule": Column("d.rule"),
    "times": Column("d.times"),
    "began_at": Column("d.at"),
    "seen_at": Column("d.seen_at"),
}


@dataclass(frozen=True, slots=True)
class DecisionsAsk:
    """What is asked of the list. search: a part of what the source calls them, without regard to case."""

    state: DecisionState
    search: str = ""
    where: Typed | None = None
    descending: bool = True
    after: Position | None = None
    limit: int = 25


@dataclass(frozen=True, slots=True)
class DecisionsPage:
    """A page of them, and the position of its last one if there are more."""

    rows: Sequence[Decision]
    next: Position | None


async def decisions_page(tx: TenantTx, ask: DecisionsAsk) -> DecisionsPage:
    """Decisions of one state by their latest try (index decision_open, of those that wait)."""
    params: list[object] = [tx.tenant_id]
    text = f"{SELECT} AND {_SHOWN[ask.state]}"
    if ask.search:
        params.append(ask.search.lower())
        text += f" AND position(${len(params)} IN lower(d.subject)) > 0"
    if ask.where is not None:
        filtered = sql(ask.where, BINDING, first_param=len(params) + 1, now=tx.now)
        text += f" AND {filtered.text}"
        params += filtered.params
    if ask.after is not None:
        params += read_position(ask.after, moment_mark, id_mark)
        sign = "<" if ask.descending else ">"
        text += f" AND (d.seen_at, d.decision_id) {sign} (${len(params) - 1}, ${len(params)})"
    way = " DESC" if ask.descending else ""
    rows = await tx.fetch(f"{text} ORDER BY d.seen_at{way}, d.decision_id{way} LIMIT {ask.limit + 1}", *params)
    shown = [decision_of(row) for row in rows[: ask.limit]]
    more = len(rows) > ask.limit
    return DecisionsPage(shown, (mark_of(shown[-1].seen_at), str(shown[-1].decision_id)) if more else None)


async def open_decisions(tx: TenantTx, most: int = 1_000) -> int:
    """How many wait for somebody; at most `most`."""
    return await tx.fetchval(
        """SELECT count(*) FROM (SELECT FROM decision WHERE tenant_id = $1 AND subject_key IS NOT NULL
          AND resolved_at IS NULL AND verdict IS NULL LIMIT $2) AS waiting""",
        *(tx.tenant_id, most),
    )


async def decision(tx: TenantTx, decision_id: UUID, *, lock: bool = False) -> Decision:
    """One of them, locked until the end of the transaction if asked. Raises NoSuchDecision."""
    row = await tx.fetchrow(
        f"{SELECT} AND d.decision_id = $2 {'FOR UPDATE OF d' if lock else ''}", tx.tenant_id, decision_id
    )
    if row is None:
        raise NoSuchDecision(
            "There is no such decision in this tenant.", hint="The list of decisions has those there are."
        )
    return decision_of(row)


@dataclass(frozen=True, slots=True)
class Beside:
    """Somebody who may be meant. sources: the names of those that have a present record of them."""

    person: Person
    sources: Sequence[str]


async def beside(tx: TenantTx, person_ids: Collection[UUID]) -> list[Beside]:
    """People who may be meant, after all merges those who are left, in the order of their ids."""
    rows = await tx.fetch(
        f"""SELECT {PERSON}, ARRAY(SELECT DISTINCT s.name FROM source_record r
            JOIN source s ON s.tenant_id = $1 AND s.source_id = r.source_id
            WHERE r.tenant_id = $1 AND r.person_id = p.person_id AND r.present ORDER BY s.name) AS sources
        FROM person p WHERE p.tenant_id = $1 AND p.person_id = ANY($2) ORDER BY p.person_id""",
        *(tx.tenant_id, sorted(set((await survivors(tx, person_ids)).values()))),
    )
    return [Beside(person_of(row), row["sources"]) for row in rows]


def decision_of(row: Row) -> Decision:
    """The decision of a row that has the columns of SELECT."""
    verdict: str | None = row["verdict"]
    return Decision(
        decision_id=row["decision_id"],
        state=DecisionState(row["state"]),
        source_id=SourceId(row["source_id"]),
        source_name=row["source_name"],
        source_kind=row["source_kind"],
        subject=row["subject"],
        subject_key=row["subject_key"],
        rule=row["rule"],
        detail=row["detail"],
        candidates=[PersonId(one) for one in row["candidates"]],
        said=None if row["asserted"] is None else _asserted(row["asserted"]),
        began_at=row["at"],
        seen_at=row["seen_at"],
        times=row["times"],
        run_id=row["run_id"],
        word=None if verdict is None else Word(verdict),
        person_id=row["verdict_person"],
        decided_by=row["verdict_by"],
        decided_at=row["verdict_at"],
        note=row["verdict_note"],
        ended=row["ended"],
        ended_at=row["resolved_at"],
        version=row["version"],
    )


def _asserted(document: Mapping[str, Any]) -> Asserted:
    values: dict[str, Value] = {
        name: from_json(BY_NAME[name], value) for name, value in document["values"].items() if name in BY_NAME
    }
    return Asserted(values, bool(document["active"]), document["scim_external_id"], document["raw"])
