"""Runs and changes as scripts and as people read them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from stoa.changes.model import Action, Change, Run, RunKind, RunState
from stoa.cli.common import out, print_whole
from stoa.db.transactions import TenantTx
from stoa.people.queries import person_names

_COLOURS = {
    RunState.APPLIED: "green",
    RunState.HELD: "yellow",
    RunState.ERRORED: "red",
    RunState.STALE: "yellow",
    RunState.UNDONE: "cyan",
}
_KINDS = {
    RunKind.ROLLBACK: "Rollback",
    RunKind.SYNC: "Sync",
    RunKind.DUE: "Effective dates",
    RunKind.SCIM_HOLD: "What waits",
    RunKind.SCIM_WINDOW: "Requests of an hour",
    RunKind.MERGE: "Merge",
    RunKind.BULK: "Bulk",
    RunKind.IMPORT: "Import",
    RunKind.RECOMPUTE: "Recomputation",
}
# Columns of the store that mean nothing to a reader.
_HIDDEN = frozenset({"row_hash", "raw"})
_NAMES = {"asserted_active": "active in the source", "manager_ref": "manager"}
# What a change of `active` says already.
_BESIDE_ACTIVE = frozenset({"present", "asserted_active"})


def as_json(run: Run) -> dict[str, Any]:
    """A run as scripts see it. counts has every action, so that nothing but zeros means that nothing changed."""
    figures = {name: value for name, value in run.figures.items() if name != "profile"}
    return {
        "id": run.run_id,
        "run": run.run_id,
        "kind": str(run.kind),
        "state": str(run.state),
        "of_run": run.of_run,
        "counts": {str(action): run.counts.get(action, 0) for action in Action},
        "seconds": seconds(run),
        "reasons": run.reasons,
        "quarantined": figures.get("quarantined", 0),
        "conflicts": figures.get("conflicts", 0),
        "figures": figures,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
    }


def seconds(run: Run) -> float:
    """How long its plan and its application took, waiting left out."""
    return round(run.figures.get("plan_seconds", 0) + run.figures.get("apply_seconds", 0), 3)


def change_as_json(change: Change) -> dict[str, Any]:
    """A change as scripts see it."""
    return {
        "action": str(change.action),
        "reason": change.reason,
        "external_id": change.subject,
        "person_id": change.person_id,
        "state": change.state,
        "before": _told(change.before),
        "after": _told(change.after),
        "note": change.note,
    }


def _told(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if document is None:
        return None
    return {name: value for name, value in document.items() if name not in _HIDDEN and not name.endswith("_key")}


async def named_subjects(tx: TenantTx, changes: Sequence[Change]) -> dict[int, str]:
    """What to call whom changes are about, by their ord, where their source knows them by an id of ours alone."""
    ours = {one.ord: one.person_id for one in changes if one.subject == str(one.resource_id) and one.person_id}
    names = await person_names(tx, list(set(ours.values())))
    return {ord_: names[person_id] for ord_, person_id in ours.items() if person_id in names}


def print_run(
    run: Run, changes: list[Change], tenant: str, *, decide: bool = True, names: Mapping[int, str] | None = None
) -> None:
    """A run as a person reads it. decide: say how a run that waits is decided on. names: see `named_subjects`."""
    kind, colour = _KINDS.get(run.kind, str(run.kind)), _COLOURS.get(run.state, "bold")
    head = Text.assemble(f"{kind} {run.run_id} is ", (str(run.state), colour), f": {in_words(run.counts)}")
    if seconds(run):
        head.append(f" ({seconds(run):g} s)")
    out.print(head)
    _print_reasons(run)
    if changes:
        table = Table("action", "reason", Column("who", no_wrap=True), "changes", box=None, padding=(0, 2, 0, 2))
        for change in changes:
            reason = change.reason.replace("_", " ")
            table.add_row(
                str(change.action),
                reason,
                Text((names or {}).get(change.ord, change.subject)),
                Text(_difference(change)),
            )
        print_whole(table) if not out.is_terminal else out.print(table)
        total = sum(run.counts.values()) + run.figures.get("conflicts", 0)
        if total > len(changes):
            out.print(f"  and {total - len(changes):,} more; --limit shows more of them.")
    if not decide:
        return
    if run.figures.get("blocked") and run.state is RunState.HELD:
        out.print(f"  Nothing can be applied. When the cause is mended: stoa sync reject {tenant} {run.run_id}")
    elif run.state in {RunState.HELD, RunState.PLANNED}:
        out.print(f"  decide: stoa sync approve {tenant} {run.run_id}")
        out.print(f"      or: stoa sync reject {tenant} {run.run_id}")


def _print_reasons(run: Run) -> None:
    for reason in run.reasons:
        out.print(Text(f"  why: {reason['detail']}"))
        if reason.get("hint"):
            out.print(Text(f"  what to do: {reason['hint']}"))
    if quarantined := run.figures.get("quarantined"):
        out.print(f"  {quarantined:,} rows were set aside; the others are not affected.")
    if refused := run.figures.get("refused"):
        out.print(f"  {refused:,} new rows were refused: it could not be told who they are.")
    if conflicts := run.figures.get("conflicts"):
        out.print(f"  {conflicts:,} changes were left alone because somebody changed the record since.")
    for warning in run.figures.get("warnings", []):
        out.print(Text(f"  note: {warning['detail']}"))


def in_words(counts: Mapping[str, int]) -> str:
    """`4 create, 6 update`."""
    words = [f"{counts[action]:,} {action}" for action in Action if counts.get(action)]
    return ", ".join(words) or "nothing to change"


def _difference(change: Change) -> str:
    before, after = _told(change.before) or {}, _told(change.after) or {}
    if change.state == "conflict":
        note = change.note or {}
        fields = ", ".join(str(c["field"]) for c in note.get("conflicts", []))
        return f"left alone: {fields or note.get('code', 'conflict')}"
    if change.before is None or change.after is None:
        named = after or before
        return " · ".join(str(named[name]) for name in ("display_name", "title", "department") if named.get(name))
    quiet: frozenset[str] = _BESIDE_ACTIVE if "active" in after else frozenset()
    told = [(name, value) for name, value in after.items() if name not in quiet]
    return " · ".join(
        f"{_NAMES.get(name, name.replace('_', ' '))}: {_value(before.get(name))} → {_value(value)}"
        for name, value in told
    )


def _value(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case True:
            return "yes"
        case False:
            return "no"
        case _:
            return str(value)
