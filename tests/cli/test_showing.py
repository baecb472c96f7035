"""Runs as people read them."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from stoa.changes.model import Action, Change, Run, RunKind, RunState
from stoa.cli import common, showing
from stoa.cli.common import Options
from stoa.kernel.ids import RunId, SourceId

ID = UUID("01999999-0000-7000-8000-000000000001")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run(**more: Any) -> Run:
    given: dict[str, Any] = {
        "run_id": RunId(ID), "kind": RunKind.SYNC, "state": RunState.APPLIED, "target": "person",
        "source_id": SourceId(ID), "connection_id": None, "of_run": None, "plan_only": False, "actor": "x",
        "input_digest": None, "mapping_version": None, "authority_version": None, "lease_epoch": 0, "reasons": [],
        "counts": {}, "figures": {}, "applied_through": 0, "created_at": NOW, "planned_at": None, "decided_at": None,
        "decided_by": None, "finished_at": None,
    }  # fmt: skip
    return Run(**(given | more))


def change(**more: Any) -> Change:
    given: dict[str, Any] = {
        "run_id": RunId(ID), "ord": 1, "action": Action.UPDATE, "reason": "moved", "subject": "E1", "source_id": ID,
        "resource_id": ID, "person_id": ID, "before": {}, "after": {}, "state": "planned", "note": None, "at": NOW,
    }  # fmt: skip
    return Change(**(given | more))


def test_a_held_run_says_why_and_how_to_decide(capsys: pytest.CaptureFixture[str]) -> None:
    reason = {"code": "x", "detail": "It would deactivate 9 people.", "hint": "Compare [both]."}
    showing.print_run(run(state=RunState.HELD, reasons=[reason], counts={"deactivate": 9}), [], "acme")
    told = capsys.readouterr().out
    assert f"Sync {ID} is held: 9 deactivate" in told
    assert "why: It would deactivate 9 people." in told
    assert "what to do: Compare [both]." in told
    assert f"stoa sync approve acme {ID}" in told
    assert f"stoa sync reject acme {ID}" in told


def test_a_run_without_a_plan_offers_no_approval(capsys: pytest.CaptureFixture[str]) -> None:
    showing.print_run(run(state=RunState.HELD, figures={"blocked": True}), [], "acme")
    told = capsys.readouterr().out
    assert "approve" not in told
    assert f"stoa sync reject acme {ID}" in told


def test_values_are_shown_as_they_are_and_internal_columns_not_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    before = {"department": None, "display_name_key": "a", "row_hash": 1, "asserted_active": False}
    after = {"department": "[red]Sales[/red]", "display_name_key": "b", "row_hash": 2, "asserted_active": True}
    showing.print_run(run(counts={"update": 1}), [change(before=before, after=after)], "acme")
    told = capsys.readouterr().out
    assert "department: nothing → [red]Sales[/red] · active in the source: no → yes" in told
    assert "key" not in told
    assert "hash" not in told


def test_lists_never_cut_an_id_however_narrow_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": ID, "name": "N" * 70, "created_at": NOW, "sandbox": False}]
    common.show_list(Options(), ("id", "name", "created_at", "sandbox"), rows, "none")
    told = capsys.readouterr().out
    assert f"{ID}" in told
    assert "N" * 70 in told
    assert NOW.astimezone().isoformat() in told
    assert len(told.splitlines()) == 2


def test_json_has_every_action_and_times_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    common.print_json(showing.as_json(run(counts={"create": 2}, figures={"plan_seconds": 0.5, "profile": {"x": 1}})))
    told = json.loads(capsys.readouterr().out)
    assert told["counts"] == {str(action): 2 if action is Action.CREATE else 0 for action in Action}
    assert told["created_at"] == "2026-03-01T12:00:00+00:00"
    assert told["seconds"] == 0.5
    assert "profile" not in told["figures"]


def test_an_empty_list_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    common.show_list(Options(), ("id",), [], "None yet: make one.")
    assert capsys.readouterr().out == "None yet: make one.\n"
    common.show_list(Options(as_json=True), ("id",), [], "None yet: make one.")
    assert capsys.readouterr().out == "[]\n"
