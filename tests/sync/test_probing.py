"""Trying a source without a run, and what is said of each way in which it fails."""

import pytest

from stoa.kernel.problems import BadInput
from stoa.people.target import People
from stoa.sync import probing
from stoa.sync.probing import Outcome, Probed, probe
from tests.sync.conftest import PEOPLE, Office


async def tried(office: Office, seconds: float = 20, **more: object) -> Probed:
    opener = office.source_worker.planner.opener
    public, secrets = opener.split("workday", office.config | more)
    config = opener.config("workday", public, secrets)
    connector = opener.connectors["workday"]
    return await probe(connector, config, opener.client, People().fields, allow=opener.allow, seconds=seconds)


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_a_sound_report_is_read_and_judged(office: Office, form: str) -> None:
    found = await tried(office, format=form)
    assert (found.outcome, found.good, found.rows, found.looked_at, found.set_aside) == (
        Outcome.OK,
        True,
        PEOPLE,
        PEOPLE,
        0,
    )
    assert found.missing == ()
    assert ("Employee_ID", 1.0) in {(name, filled) for name, kind, filled in found.columns if kind}


async def test_a_source_that_is_slow_may_still_be_run(office: Office) -> None:
    office.fault("slow")
    found = await tried(office, seconds=0.2)
    assert (found.outcome, found.good) == (Outcome.SLOW, True)


async def test_a_report_larger_than_a_trial_may_still_be_run(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "MOST_BYTES", 1000)
    found = await tried(office)
    assert (found.outcome, found.good) == (Outcome.LARGE, True)


async def test_a_missing_column_is_named(office: Office) -> None:
    office.fault("renamed_column")
    found = await tried(office)
    assert (found.outcome, found.good, found.missing) == (Outcome.FORMAT, False, ("Employee_ID",))
    assert any("EmployeeID is new: was it renamed?" in text for text in found.drift)


async def test_rows_that_would_be_set_aside_are_counted(office: Office) -> None:
    office.fault("duplicate_ids")
    found = await tried(office)
    assert found.outcome is Outcome.OK
    assert found.set_aside > 0


@pytest.mark.parametrize(
    ("url", "outcome"),
    [
        ("http://10.0.0.1/report", Outcome.ADDRESS),
        ("https://nowhere.invalid/report", Outcome.DOWN),
        ("http://127.0.0.1:1/report", Outcome.ADDRESS),
    ],
)
async def test_an_address_that_leads_nowhere_is_told(office: Office, url: str, outcome: Outcome) -> None:
    found = await tried(office, url=url)
    assert (found.outcome, found.good) == (outcome, False)
    assert found.hint


async def test_settings_that_contradict_themselves_are_no_matter_of_the_source(office: Office) -> None:
    with pytest.raises(BadInput, match="shoe_size"):
        await tried(office, columns={"shoe_size": "Shoe"})
