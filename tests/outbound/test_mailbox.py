"""Reading what FileMailbox wrote."""

import os
import time
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from stoa.kernel.problems import BadInput, NotFound
from stoa.outbound import mailbox
from stoa.outbound.mail import FileMailbox
from stoa.outbound.model import Mail

START = datetime(2030, 1, 1, tzinfo=UTC)
MANY = 100_000


def name_of(number: int) -> str:
    return f"{START + timedelta(seconds=number):%Y%m%dT%H%M%S.%fZ}-{number:08x}.eml"


async def send(folder: Path, number: int, subject: str = "Held", text: str = "Look.") -> None:
    sink = FileMailbox(folder, clock=lambda: START + timedelta(seconds=number))
    await sink.send(Mail(to=f"a{number}@example.com", subject=subject, text=text, key=f"k{number}"))


async def test_mails_come_the_newest_first_page_by_page(tmp_path: Path) -> None:
    for number in range(5):
        await send(tmp_path, number, f"Mail {number}")
    first = await mailbox.mails(tmp_path, limit=3)
    assert [(one.subject, one.to) for one in first] == [(f"Mail {n}", f"a{n}@example.com") for n in (4, 3, 2)]
    assert first[0].at == START + timedelta(seconds=4)
    rest = await mailbox.mails(tmp_path, before=first[-1].name, limit=3)
    assert [one.subject for one in rest] == ["Mail 1", "Mail 0"]


async def test_a_folder_that_is_not_there_is_an_empty_mailbox(tmp_path: Path) -> None:
    assert await mailbox.mails(tmp_path / "none") == []


HOSTILE = ["<script>alert(1)</script>", "\u202eevil", "Grüße 🙂", "x" * 10_000, "a\r\nBcc: x@example.com"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_mail_is_given_as_text(tmp_path: Path, text: str) -> None:
    await send(tmp_path, 1, subject="S " + text, text=text + "\n")
    (head,) = await mailbox.mails(tmp_path)
    stored = await mailbox.mail(tmp_path, head.name)
    assert stored.head == head
    assert stored.text.replace("\r\n", "\n").strip() == text.replace("\r\n", "\n").strip()
    headers = dict(stored.headers)
    assert headers["To"] == "a1@example.com"
    assert "Bcc" not in headers
    assert await mailbox.raw_mail(tmp_path, head.name) == (tmp_path / head.name).read_bytes()


NAMES = [
    "", ".", "..", "../secret.eml", "..%2fsecret.eml", "/etc/passwd", "secret.eml", "a\0b", name_of(1) + "/x",
    name_of(1) + "\n", "." + name_of(1) + ".part", "٢" * 8 + name_of(1)[8:], name_of(2),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_nothing_but_a_mail_is_opened(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "mail"
    await send(folder, 1)
    (tmp_path / "secret.eml").write_text("secret")
    for read in (mailbox.mail, mailbox.raw_mail):
        with pytest.raises(NotFound):
            await read(folder, name)


async def test_a_link_with_the_name_of_a_mail_leads_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    folder.mkdir()
    (tmp_path / "secret").write_text("To: x\n\nsecret")
    (folder / name_of(1)).symlink_to(tmp_path / "secret")
    os.mkfifo(folder / name_of(2))
    with pytest.raises(NotFound):
        await mailbox.mail(folder, name_of(1))
    assert [one.name for one in await mailbox.mails(folder)] == [name_of(2)]


async def test_a_cursor_that_is_no_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        await mailbox.mails(tmp_path, before="../x")


async def test_what_is_no_mail_of_ours_is_not_read_whole(tmp_path: Path) -> None:
    (tmp_path / name_of(1)).write_bytes(b"Subject: long\n\n" + b"x" * (mailbox.MOST_BYTES + 1))
    assert [one.subject for one in await mailbox.mails(tmp_path)] == ["long"]
    with pytest.raises(mailbox.MailTooLong):
        await mailbox.mail(tmp_path, name_of(1))


async def test_bytes_that_are_no_mail_are_shown_as_far_as_they_can_be(tmp_path: Path) -> None:
    (tmp_path / name_of(1)).write_bytes(bytes(range(256)) * 10)
    stored = await mailbox.mail(tmp_path, name_of(1))
    assert stored.text.encode("utf-8")
    html = EmailMessage()
    html["Subject"] = "Only HTML"
    html.set_content("<p>x</p>", subtype="html")
    (tmp_path / name_of(2)).write_bytes(html.as_bytes())
    assert (await mailbox.mail(tmp_path, name_of(2))).text == ""


async def test_a_page_of_a_hundred_thousand_mails_opens_those_it_shows(tmp_path: Path) -> None:
    for number in range(MANY):
        os.close(os.open(tmp_path / name_of(number), os.O_CREAT | os.O_WRONLY, 0o000 if number < MANY - 25 else 0o600))
    started = time.process_time()
    page = await mailbox.mails(tmp_path, limit=25)
    assert [one.name for one in page] == [name_of(MANY - 1 - n) for n in range(25)]
    # Reading them all would take many times as long.
    assert time.process_time() - started < 2.0
