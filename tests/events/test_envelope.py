"""How events look to the outside, and how they are chosen."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from stoa.events.envelope import envelope
from stoa.events.model import ERASED, StoredEvent
from stoa.events.selecting import facts, selected
from stoa.kernel.filters import FilterError, evaluate
from stoa.kernel.ids import RunId, TenantId

TENANT = TenantId(UUID("01980f5e-6f2a-7c3e-9a51-0d6f4b1c2a10"))
RUN = RunId(UUID("01980f5f-0c11-7d12-8b54-5a3d1c9e7f00"))
BODY: dict[str, Any] = {"before": {"title": None}, "after": {"title": "Ætherist"}, "version": 2}
EVENT = StoredEvent(
    seq=41,
    type="person.updated",
    subject="01980f60-2b7e-7a44-b0a9-77c2d5e8f101",
    at=datetime(2026, 3, 1, 10, 30, tzinfo=timezone(timedelta(hours=1))),
    actor="credential:7",
    via="scim",
    run_id=RUN,
    body=BODY,
)


def told(event: StoredEvent) -> dict[str, object]:
    """Its envelope."""
    return envelope(event, tenant_id=TENANT, tenant_slug="acme", base_url="https://stoa.example")


def test_an_event_is_a_cloud_event() -> None:
    assert told(EVENT) == {
        "specversion": "1.0",
        "id": f"{TENANT}-41",
        "source": "https://stoa.example/tenants/acme",
        "type": "person.updated",
        "subject": EVENT.subject,
        "time": "2026-03-01T09:30:00.000000Z",
        "datacontenttype": "application/json",
        "dataschema": "https://stoa.example/v1/event-types/person.updated/versions/1",
        "sequence": "41",
        "actor": "credential:7",
        "via": "scim",
        "runid": str(RUN),
        "tenantid": str(TENANT),
        "data": BODY,
    }


def test_what_is_not_there_is_left_out() -> None:
    gone = StoredEvent(7, ERASED, "", datetime(2026, 3, 1, tzinfo=UTC), "system", "worker", None, {})
    assert {"subject", "runid"} & told(gone).keys() == set()
    unknown = StoredEvent(7, "of.tomorrow", "x", datetime(2026, 3, 1, tzinfo=UTC), "system", "worker", None, {})
    assert "dataschema" not in told(unknown)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('type sw "person."', True),
        ('type eq "person.created"', False),
        ('type eq "PERSON.UPDATED"', False),
        (f'subject eq "{EVENT.subject}"', True),
        ('actor sw "credential:" and via eq "scim"', True),
        ('via ne "scim"', False),
        (f'run_id eq "{RUN}"', True),
        ("not (run_id pr)", False),
        ('at ge "2026-03-01T09:30:00Z"', True),
        ('at gt "2026-03-01T09:30:00Z"', False),
    ],
)
def test_events_are_chosen_by_a_filter(text: str, holds: bool) -> None:
    assert evaluate(selected(text), facts(EVENT)) is holds


@pytest.mark.parametrize("text", ['kind eq "x"', "run_id eq 5", 'type eq "', ""])
def test_a_filter_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        selected(text)
