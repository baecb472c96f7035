from datetime import UTC, datetime, timedelta
from uuid import UUID

from stoa.alerts.model import Alert, AlertId
from stoa.alerts.rules import mail, shortened
from stoa.kernel.ids import RunId, TenantId
from stoa.tenants.model import Tenant

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TENANT = Tenant(TenantId(UUID(int=1)), "acme", "Acme", "UTC", False, timedelta(0), None, "ada@example.com", NOW)


def an_alert(occurrences: int = 1, hint: str = "Approve it.", run_id: RunId | None = None) -> Alert:
    return Alert(
        alert_id=AlertId(UUID(int=2)),
        kind="sync.held",
        key="k",
        severity="critical",
        title="A sync is held",
        detail="Half the rows are gone.",
        hint=hint,
        owner_email="ada@example.com",
        state="open",
        occurrences=occurrences,
        first_at=NOW,
        last_at=NOW + timedelta(hours=occurrences - 1),
        mailed_at=None,
        resolved_at=None,
        run_id=run_id,
    )


def test_a_mail_says_what_where_when_and_what_to_do() -> None:
    made = mail(an_alert(run_id=RunId(UUID(int=3))), TENANT, "ada@example.com")
    assert made.subject == "Critical: A sync is held (Acme)"
    assert made.key == f"alert-{UUID(int=2)}"
    assert made.text == (
        "A sync is held\n\nHalf the rows are gone.\n\nWhat to do: Approve it.\n\n"
        f"Tenant: Acme (acme)\nSeen: 2026-01-01 12:00 UTC\nRun: {UUID(int=3)}\n"
    )


def test_a_mail_says_how_often() -> None:
    text = mail(an_alert(3, hint=""), TENANT, "ada@example.com").text
    assert "3 times by 2026-01-01 14:00 UTC" in text
    assert "What to do" not in text


def test_a_text_is_shortened_and_can_be_stored() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "ab…"
    assert shortened("a\x00b", 3) == "ab"
