"""The audit log: every entry with who, from where, what, and before and after; found, filtered and paged.

A line is one event, or one bulk entry as a whole: the changes of a run, which the run shows. Asked for the lines of one
person, it finds what their sources changed of them in bulk entries too. Lines come in the order in which they were
written (entry_no), which is the order of the chain. A page looks through a bounded number of entries, so that no
question costs more than a page may: one that ends early says how far it has looked, and the next goes on from there. An
actor, a subject, a type of rare events and a time are found by an index (tests/changes/test_trail.py reads the plans).
"""

# ruff: noqa: S608 - the text is code; every value is a bound parameter

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.events.changed import event_of
from stoa.kernel.cursors import Position, number_mark, read_position
from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, Operator, Typed, sql
from stoa.kernel.filters.typed import AllOf, Test
from stoa.kernel.ids import parse_id

# What a filter may ask. The alias of a line is `x`.
CATALOGUE: Final = Catalogue(
    (
        Attribute("at", AttrType.DATETIME),
        Attribute("actor", case_exact=True),
        Attribute("via", case_exact=True),
        Attribute("type", case_exact=True),
        Attribute("subject", case_exact=True),
        Attribute("address", case_exact=True),
        Attribute("request_id", case_exact=True),
        Attribute("run_id", AttrType.UUID),
    )
)
BINDING: Final[Binding] = {attribute.name: Column(f"x.{attribute.name}") for attribute in CATALOGUE.attributes}
# Entries that one page looks through at the most.
LOOKED_THROUGH: Final = 20_000
# A transaction's time is that of its beginning, and its place that of its end: none takes longer than this.
_LONGEST_TRANSACTION: Final = timedelta(hours=2)
# Of these types hardly any stands in the log itself: they are told by changes of runs.
_FREQUENT: Final = ("person", "group.")
# Nor of these subjects.
_GROUP: Final = "group:"
# The entries with events of a person, and those of the changes of runs that are about them: of a run's entries the
# last that begins at or before the change. Batches of changes do not overlap, and a single change begins its own entry.
# $2: the person.
_OF_PERSON: Final = """(
  SELECT v.entry_no FROM event v WHERE v.tenant_id = $1 AND v.subject = $2::uuid::text
  UNION ALL
  SELECT o.entry_no FROM change z
  CROSS JOIN LATERAL (
    SELECT b.entry_no, b.ord_to FROM entry b WHERE b.tenant_id = $1 AND b.run_id = z.run_id AND b.ord_from <= z.ord
    ORDER BY b.ord_from DESC LIMIT 1) AS o
  WHERE z.tenant_id = $1 AND z.person_id = $2::uuid AND o.ord_to >= z.ord) AS own"""
_AFTER_ALL: Final = 2**62

# What stands in the log itself; what a request changed of one person, and what became of them for it; and of the person
# whose lines are asked for, their own changes out of bulk entries. $2: that person, or NULL.
_OF_ENTRY: Final = """
    SELECT v.ord::bigint AS ord, v.type, v.subject, v.body, NULL::boolean AS effect, NULL::text AS action,
      NULL::text AS reason, NULL::text AS external_id, NULL::uuid AS source_id, NULL::uuid AS resource_id,
      NULL::jsonb AS before, NULL::jsonb AS after, NULL::bigint AS version, NULL::jsonb AS made, NULL::text AS target
    FROM event v WHERE v.tenant_id = $1 AND v.entry_no = s.entry_no
    UNION ALL
    SELECT 2 * (h.ord - s.ord_from), CASE WHEN strpos(h.subject, '/') > 0 AND r.target = 'group' THEN 'group.member_'
        || CASE h.action WHEN 'create' THEN 'added' ELSE 'removed' END
      ELSE r.target || CASE WHEN r.target = 'group' THEN '.' ELSE '_record.' END || CASE h.action
        WHEN 'create' THEN 'created' WHEN 'link' THEN 'linked' WHEN 'update' THEN 'updated'
        WHEN 'deactivate' THEN 'deactivated' WHEN 'reactivate' THEN 'reactivated' ELSE 'removed' END END,
      coalesce(h.person_id::text, r.target || ':' || h.subject), NULL,
      false, h.action, h.reason, h.subject, h.source_id, h.resource_id, h.before, h.after,
      NULL, NULL, r.target
    FROM change h JOIN run r ON r.tenant_id = $1 AND r.run_id = h.run_id
    WHERE h.tenant_id = $1 AND h.run_id = s.run_id AND h.ord BETWEEN s.ord_from AND s.ord_to
      AND h.state NOT IN ('conflict', 'rejected') AND (s.ord_from = s.ord_to OR h.person_id = $2::uuid)
    UNION ALL
    SELECT 1, 'person.' || CASE WHEN f.before IS NULL THEN 'created'
        WHEN f.after IS NULL THEN 'removed' WHEN NOT f.after ? 'active' THEN 'updated'
        WHEN (f.after->'active') = 'true' THEN 'reactivated' ELSE 'deactivated' END,
      f.person_id::text, NULL, true, NULL, NULL, NULL, NULL, NULL, f.before, f.after, f.version,
      CASE WHEN f.before IS NULL THEN (SELECT m.after FROM change m WHERE m.tenant_id = $1
        AND m.person_id = f.person_id AND m.ord <= f.ord AND m.run_id = s.run_id AND m.before IS NULL
        AND m.state <> 'conflict' ORDER BY m.ord LIMIT 1) END, 'person'
    FROM effect f
    WHERE f.tenant_id = $1 AND f.run_id = s.run_id AND f.ord = s.ord_from AND s.ord_from = s.ord_to"""
_LINE: Final = f"""
  SELECT s.entry_no, s.at, s.actor, s.via, s.request_id, s.address, s.run_id, s.first_seq, s.n,
    s.ord_from < s.ord_to AS bulk, y.*
  FROM entry s LEFT JOIN LATERAL ({_OF_ENTRY}) AS y ON TRUE
  WHERE s.tenant_id = $1 AND s.entry_no = {{entry_no}}"""
# OFFSET 0 keeps a condition from being looked for in the whole log first: each candidate is read by its key, and then
# compared.
_LINES: Final = f"""
SELECT x.* FROM ({{candidates}}) AS c CROSS JOIN LATERAL ({_LINE.format(entry_no="c.entry_no")} OFFSET 0) AS x
WHERE {{where}} ORDER BY c.entry_no {{order}}, x.ord {{order}} LIMIT {{limit}}"""
_ONE: Final = f"{_LINE.format(entry_no='$3')} ORDER BY y.ord LIMIT $4"


@dataclass(frozen=True, slots=True)
class TrailLine:
    """One line of the audit log.

    Attributes:
        entry_no, ord: its place.
        at: the tenant's clock when its transaction began.
        actor, via, request_id, address: as of `Origin`.
        seq: the event's number, the first one's of a bulk entry; None for the moments until it is numbered, and for the
            line of one person out of a bulk entry.
        n: how many events it stands for: 1, or a bulk entry's.
        bulk: whether it stands for changes of a run, which the run shows.
        type, subject, body: of the event; None of a bulk entry, and of an event whose content was erased.
    """

    entry_no: int
    ord: int
    at: datetime
    actor: str
    via: str
    request_id: str | None
    address: str | None
    run_id: UUID | None
    seq: int | None
    n: int
    bulk: bool
    type: str | None
    subject: str | None
    body: dict[str, Any] | None

    @property
    def erased(self) -> bool:
        """Whether what it told is gone."""
        return self.type is None and not self.bulk


@dataclass(frozen=True, slots=True)
class TrailAsk:
    """What is asked of the log.

    Attributes:
        search: what is within a type, subject, address or request id, in any case; empty for all.
        actors: beside the search: whose lines are wanted too, for their names are within it.
        where: a filter, checked against CATALOGUE; None for none.
        descending: the newest first.
        after: where the last page ended: its `next`.
    """

    search: str = ""
    actors: tuple[str, ...] = ()
    where: Typed | None = None
    descending: bool = True
    after: Position | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class TrailPage:
    """Lines, and where the next page begins; None at the end.

    Attributes:
        looked_until: how far it has looked, if it ended before it had as many lines as it may.
    """

    lines: Sequence[TrailLine]
    next: Position | None
    looked_until: datetime | None = None


class _Params:
    """The values of a statement; `$1` is the tenant, `$2` the person whose lines are asked for."""

    def __init__(self, tx: TenantTx, person_id: UUID | None) -> None:
        self.values: list[object] = [tx.tenant_id, person_id]

    def bind(self, value: object) -> str:
        """The placeholder of a value."""
        self.values.append(value)
        return f"${len(self.values)}"


async def trail_page(tx: TenantTx, ask: TrailAsk, *, looked_through: int = LOOKED_THROUGH) -> TrailPage:
    """A page of the tenant's audit log. Raises BadCursor for a position that is none."""
    tests = _conjuncts(ask.where)
    params = _Params(tx, parse_id(_equal(tests, "subject") or ""))
    place: tuple[Any, ...] | None = None
    if ask.after is not None:
        place = read_position(ask.after, number_mark(0), number_mark(0, _AFTER_ALL))
    candidates = _candidates(params, ask, tests, place, looked_through)
    among = tuple(params.values)
    where = ["TRUE"]
    if place is not None:
        no, ord_ = params.bind(place[0]), params.bind(place[1])
        further = "<" if ask.descending else ">"
        where.append(f"(x.entry_no {further} {no} OR coalesce(x.ord, 0) {further} {ord_}::bigint)")
    if ask.search:
        where.append(_searched(params, ask))
    if ask.where is not None:
        condition = sql(ask.where, BINDING, first_param=len(params.values) + 1)
        params.values += condition.params
        where.append(condition.text)
    order = "DESC" if ask.descending else "ASC"
    text = _LINES.format(candidates=candidates, where=" AND ".join(where), order=order, limit=int(ask.limit) + 1)
    rows = await tx.fetch(text, *params.values)
    lines = [_line(row) for row in rows[: ask.limit]]
    if len(rows) > ask.limit:
        return TrailPage(lines, (lines[-1].entry_no, lines[-1].ord))
    return await _ended_early(tx, ask, lines, candidates, among, looked_through)


async def _ended_early(
    tx: TenantTx, ask: TrailAsk, lines: list[TrailLine], candidates: str, among: tuple[object, ...], most: int
) -> TrailPage:
    last = "min" if ask.descending else "max"
    # Not all candidates ask for a person, whose parameter needs its type all the same.
    row = await tx.fetchrow(
        f"SELECT count(*) AS n, {last}(entry_no) AS last FROM ({candidates}) AS c, (SELECT $2::uuid) AS asked", *among
    )
    if row is None or row["n"] < most:
        return TrailPage(lines, None)
    until = await tx.fetchval("SELECT at FROM entry WHERE tenant_id = $1 AND entry_no = $2", tx.tenant_id, row["last"])
    return TrailPage(lines, (row["last"], _last_of(ask)), until)


def _last_of(ask: TrailAsk) -> int:
    """The place within an entry after which there is nothing of it, in the order that is asked for."""
    return 0 if ask.descending else _AFTER_ALL


async def trail_entry(tx: TenantTx, entry_no: int, *, limit: int = 200) -> list[TrailLine]:
    """The lines of one entry, the first `limit` of them; none if there is no such entry."""
    return [_line(row) for row in await tx.fetch(_ONE, tx.tenant_id, None, entry_no, limit)]


def _line(row: Row) -> TrailLine:
    ord_, type_, body = row["ord"] or 0, row["type"], row["body"]
    if row["effect"] is not None:
        # Of a change and of what became of the person: told in the words of the event stream.
        body = event_of({**row, "subject": row["external_id"], "person_id": row["subject"]}, row["run_id"]).body
    seq, bulk = row["first_seq"], row["bulk"] is True
    if seq is not None and not bulk:
        # Where a person changed without a record of their own, that is the only event.
        seq += min(ord_, row["n"] - 1)
    elif type_ is not None:
        # Which of the many numbers of a bulk entry is this one's, the event stream knows.
        seq = None
    return TrailLine(
        entry_no=row["entry_no"],
        ord=ord_,
        at=row["at"],
        actor=row["actor"],
        via=row["via"],
        request_id=row["request_id"],
        address=row["address"],
        run_id=row["run_id"],
        seq=seq,
        n=row["n"] if bulk and type_ is None else 1,
        bulk=bulk and type_ is None,
        type=type_,
        subject=row["subject"],
        body=body,
    )


def _searched(params: _Params, ask: TrailAsk) -> str:
    wanted, actors = params.bind(ask.search.replace("\0", "").lower()), params.bind(list(ask.actors))
    within = " OR ".join(
        f"strpos(lower({name}), {wanted}) > 0" for name in ("x.type", "x.subject", "x.address", "x.request_id")
    )
    return f"({within} OR x.actor = {wanted} OR x.actor = ANY({actors}::text[]))"


# ------------------------------------------------------------------ which entries to look at


def _candidates(params: _Params, ask: TrailAsk, tests: Sequence[Test], place: tuple[Any, ...] | None, most: int) -> str:
    """A SELECT of the entries to look at, in order, by the most telling index that the filter's parts leave open."""
    table, where = "entry", ["tenant_id = $1"]
    if (subject := _equal(tests, "subject")) is not None and not subject.startswith(_GROUP):
        table = "event"
        where.append(f"subject = {params.bind(subject)}")
        if params.values[1] is not None:
            table = _OF_PERSON
            where = ["TRUE"]
            params.values.pop()
    elif (type_ := _equal(tests, "type")) is not None and not type_.startswith(_FREQUENT):
        table = "event"
        where.append(f"type = {params.bind(type_)} AND (type < 'person' OR type >= 'persoo')")
    elif (actor := _equal(tests, "actor")) is not None:
        where.append(f"actor = {params.bind(actor)}")
    where += _within_times(params, tests)
    if place is not None:
        # Of the entry that a page ended in, further events may follow.
        same = "" if place[1] == _last_of(ask) else "="
        where.append(f"entry_no {'<' if ask.descending else '>'}{same} {params.bind(place[0])}")
    order = "DESC" if ask.descending else "ASC"
    # An entry may have several events of one subject or type.
    chosen = "entry_no" if table == "entry" else "DISTINCT entry_no"
    return f"SELECT {chosen} FROM {table} WHERE {' AND '.join(where)} ORDER BY entry_no {order} LIMIT {most:d}"


def _conjuncts(where: Typed | None) -> list[Test]:
    """The comparisons all of which must hold."""
    if where is None:
        return []
    nodes = where.node.nodes if isinstance(where.node, AllOf) else (where.node,)
    return [node for node in nodes if isinstance(node, Test) and not node.negated]


def _equal(tests: Sequence[Test], name: str) -> str | None:
    return next(
        (str(test.value) for test in tests if test.name == name and test.op is Operator.EQ and test.value is not None),
        None,
    )


def _within_times(params: _Params, tests: Sequence[Test]) -> list[str]:
    """Bounds of entry_no for times. Clocks only go forward, so what was written well before a time has a lower number
    than what began after it.
    """
    bounds: list[str] = []
    for test in tests:
        moment = _moment(test)
        if moment is None:
            continue
        if test.op in {Operator.GT, Operator.GE, Operator.EQ}:
            before = params.bind(moment - _LONGEST_TRANSACTION)
            found = (
                f"SELECT b.entry_no FROM entry b WHERE b.tenant_id = $1 AND b.at < {before} ORDER BY b.at DESC LIMIT 1"
            )
            bounds.append(f"entry_no >= coalesce(({found}), 0)")
        if test.op in {Operator.LT, Operator.LE, Operator.EQ}:
            after = params.bind(moment + _LONGEST_TRANSACTION)
            found = f"SELECT b.entry_no FROM entry b WHERE b.tenant_id = $1 AND b.at > {after} ORDER BY b.at LIMIT 1"
            bounds.append(f"entry_no <= coalesce(({found}), {2**63 - 1})")
    return bounds


def _moment(test: Test) -> datetime | None:
    """The time that a comparison names, if it is one of a time, and one that a log may have."""
    if test.name != "at":
        return None
    return test.value if isinstance(test.value, datetime) and 1970 <= test.value.year <= 9000 else None
