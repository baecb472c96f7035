import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from stoa.kernel.ids import TenantId
from stoa.kernel.problems import BadInput
from stoa.outbound.mail import FileMailbox, SmtpSender, SmtpServer, message, route
from stoa.outbound.model import Mail, RemoteDown, RemoteRefused
from stoa.tenants.model import Tenant
from tests.outbound.certificates import certificate
from tests.outbound.smtp_server import MailServer, mail_server

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MAIL = Mail("ada@example.com", "Sync held", "Half the rows are gone.\n.\nLook.", "alert-1")


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def plain(server: MailServer) -> SmtpSender:
    return SmtpSender(SmtpServer("127.0.0.1", "stoa@example.com", server.port, "none"), clock=lambda: NOW)


def test_a_message_has_the_headers_of_an_automatic_mail() -> None:
    made = message(MAIL, "stoa@example.com", lambda: NOW)
    assert (made["From"], made["To"], made["Subject"]) == ("stoa@example.com", "ada@example.com", "Sync held")
    assert (made["Message-ID"], made["Auto-Submitted"]) == ("<alert-1@example.com>", "auto-generated")
    assert made["Date"] == "Thu, 01 Jan 2026 12:00:00 +0000"


@pytest.mark.parametrize(
    "subject", ["A\r\nBcc: eve@example.com", "A\nBcc: eve@example.com", "A\x00\x0b\u2028B", "ü" * 999]
)
def test_a_subject_stays_one_line_and_adds_no_header(subject: str) -> None:
    made = message(replace(MAIL, subject=subject), "stoa@example.com", lambda: NOW)
    read = email.message_from_bytes(made.as_bytes(), policy=email.policy.default)
    assert read["Bcc"] is None
    assert set(read.keys()) == set(made.keys())
    assert len(read["Subject"]) <= 200
    assert read["To"] == "ada@example.com"


@pytest.mark.parametrize(
    "text", ["x\r\n\r\n--boundary\r\nBcc: a", "Grüße, 世界", "\ud800", "a" * 5000, ".\r\n.\r\n", ""]
)
def test_a_body_is_carried_whole(text: str) -> None:
    made = message(replace(MAIL, text=text), "stoa@example.com", lambda: NOW)
    read = email.message_from_bytes(made.as_bytes(), policy=email.policy.default)
    expected = text.replace("\ud800", "?").replace("\r\n", "\n").rstrip("\n")
    assert read.get_content().replace("\r\n", "\n").rstrip("\n") == expected
    assert read["Bcc"] is None


@pytest.mark.parametrize(
    "to",
    [
        "",
        "ada",
        "a@b.com, c@d.com",
        "a@b.com\r\nBcc: x@y.com",
        "Ada <a@b.com>",
        "a@b.com\x00",
        "a@" + "x" * 64 + ".com",
    ],
)
def test_a_mail_goes_to_one_plain_address_and_the_refusal_does_not_tell_it(to: str) -> None:
    with pytest.raises(BadInput) as refusal:
        message(replace(MAIL, to=to), "stoa@example.com", lambda: NOW)
    assert not to or to not in str(refusal.value)


def test_an_international_domain_is_written_in_ascii() -> None:
    made = message(replace(MAIL, to="ada@bücher.example"), "stoa@example.com", lambda: NOW)
    assert made["To"] == "ada@xn--bcher-kva.example"


@pytest.mark.parametrize("key", ["", "a b", "a>b", "a\r\nb", "x" * 101])
def test_a_key_that_cannot_be_a_message_id_is_refused(key: str) -> None:
    with pytest.raises(BadInput):
        message(replace(MAIL, key=key), "stoa@example.com", lambda: NOW)


async def test_the_file_mailbox_writes_one_whole_file_for_each_mail(tmp_path: Path) -> None:
    moments = iter([NOW, NOW, NOW + timedelta(seconds=1), NOW + timedelta(seconds=1)])
    mailbox = FileMailbox(tmp_path / "mail", clock=lambda: next(moments))
    await mailbox.send(MAIL)
    await mailbox.send(replace(MAIL, subject="Second"))
    first, second = files_in(tmp_path / "mail")
    assert first.suffix == second.suffix == ".eml"
    read = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in (first, second)]
    assert [one["Subject"] for one in read] == ["Sync held", "Second"]
    assert first.stat().st_mode & 0o777 == 0o600
    assert first.parent.stat().st_mode & 0o777 == 0o700


async def test_a_sandbox_tenants_mail_never_leaves(tmp_path: Path) -> None:
    sink = FileMailbox(tmp_path / "sink")
    sender = SmtpSender(SmtpServer("127.0.0.1", "stoa@example.com"))
    tenant = Tenant(TenantId(UUID(int=1)), "a", "A", "UTC", False, timedelta(0), None, None, NOW)
    assert route(tenant, sender, sink) is sender
    assert route(replace(tenant, sandbox=True), sender, sink) is sink


async def test_a_mail_is_handed_to_the_server() -> None:
    async with mail_server() as server:
        await plain(server).send(MAIL)
    (taken,) = server.mails
    # A line of one dot is doubled on the wire (RFC 5321, 4.5.2).
    assert b"\r\n..\r\nLook." in taken
    assert "rcpt TO:<ada@example.com>" in server.commands


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_password_goes_over_an_encrypted_line_that_is_checked(tmp_path: Path, security: str) -> None:
    theirs, ours = certificate(tmp_path, "localhost")
    async with mail_server(context=theirs, tls=security == "tls") as server:
        settings = SmtpServer("localhost", "stoa@example.com", server.port, security, "ada", "hunter2")  # pyright: ignore[reportArgumentType]
        await SmtpSender(settings, tls=lambda: ours).send(MAIL)
        assert server.encrypted == [True]
        assert any(command.startswith("AUTH PLAIN") for command in server.commands)
        server.commands.clear()
        with pytest.raises(RemoteDown):
            await SmtpSender(settings).send(MAIL)
        assert not any(command.startswith(("AUTH", "mail", "DATA")) for command in server.commands)
    assert "hunter2" not in repr(settings)


def test_a_password_without_encryption_is_not_accepted() -> None:
    with pytest.raises(BadInput):
        SmtpServer("mail.example.com", "stoa@example.com", 25, "none", "ada", "hunter2")


@pytest.mark.parametrize(
    ("refusals", "status", "later"),
    [
        ({"RCPT": "550 no ada@example.com here"}, 550, False),
        ({"RCPT": "450 ada@example.com is busy"}, 450, True),
        ({"MAIL": "451 later"}, 451, True),
        ({"MAIL": "554 never"}, 554, False),
        ({"DATA": "452 full"}, 452, True),
        ({"DATA": "552 too big"}, 552, False),
        ({"EHLO": "421 closing", "HELO": "421 closing"}, 421, True),
    ],
)
async def test_a_refusal_is_temporary_or_final_and_names_nobody(
    refusals: dict[str, str], status: int, *, later: bool
) -> None:
    async with mail_server(**refusals) as server:
        with pytest.raises(RemoteDown if later else RemoteRefused) as failure:
            await plain(server).send(MAIL)
    assert failure.value.remote_status == status
    assert "ada" not in str(failure.value)


async def test_a_wrong_password_is_for_the_operator_to_mend(tmp_path: Path) -> None:
    theirs, ours = certificate(tmp_path, "localhost")
    async with mail_server(context=theirs, AUTH="535 no") as server:
        settings = SmtpServer("localhost", "stoa@example.com", server.port, user="ada", password="hunter2")
        with pytest.raises(RemoteDown, match="password"):
            await SmtpSender(settings, tls=lambda: ours).send(MAIL)


async def test_a_mail_server_that_is_not_there_is_down() -> None:
    async with mail_server() as server:
        pass
    with pytest.raises(RemoteDown, match="cannot be reached"):
        await plain(server).send(MAIL)
