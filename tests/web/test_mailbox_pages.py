"""The pages of the mailbox, over HTTP."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import httpx2
import pytest
from starlette.types import ASGIApp

from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.outbound.mail import FileMailbox
from stoa.outbound.mailbox import mails
from stoa.outbound.model import Mail
from stoa.web.mailbox import mailbox_pages
from tests.conftest import MakeTenant
from tests.web.signed_in import Browsers, application_of, browsers, text_of

START = datetime(2030, 1, 1, tzinfo=UTC)
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202eevil.exe", "محمد 🙂", "x" * 10_000)


async def send(folder: Path, number: int = 0, subject: str = "Held", text: str = "Look.") -> str:
    sink = FileMailbox(folder, clock=lambda: START + timedelta(seconds=number))
    await sink.send(Mail(to="ada@example.com", subject=subject, text=text, key=f"k{number}"))
    return (await mails(folder, limit=1))[0].name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mailbox"


@pytest.fixture
async def people(database: Database, folder: Path) -> AsyncGenerator[Browsers]:
    app: ASGIApp = application_of(database, lambda shell: mailbox_pages(shell, folder))
    async with browsers(app, database) as opened:
        yield opened


@pytest.fixture
async def viewer(people: Browsers) -> httpx2.AsyncClient:
    return await people.of(Role.PLATFORM_VIEWER)


async def test_an_empty_mailbox_says_what_would_stand_there(viewer: httpx2.AsyncClient) -> None:
    page = await viewer.get("/console/mailbox")
    assert page.status_code == 200
    assert "No mail yet" in text_of(page)


async def test_mails_come_the_newest_first_and_pages_follow(viewer: httpx2.AsyncClient, folder: Path) -> None:
    for number in range(60):
        await send(folder, number, f"Mail {number:02}.")
    first = text_of(await viewer.get("/console/mailbox"))
    assert first.index("Mail 59.") < first.index("Mail 58.")
    assert "Mail 09." not in first
    last = (await mails(folder, limit=50))[-1]
    page = await viewer.get("/console/mailbox", params={"before": last.name})
    assert all(f"Mail {number:02}." in text_of(page) for number in range(10))
    assert "Older" not in text_of(page)
    end = await viewer.get("/console/mailbox", params={"before": (await mails(folder, limit=60))[-1].name})
    assert "No older mail" in text_of(end)


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_mail_is_shown_as_text(viewer: httpx2.AsyncClient, folder: Path, text: str) -> None:
    name = await send(folder, subject="S " + text, text=f"Before\n{text}\nAfter")
    for path in ("", f"/{name}"):
        page = await viewer.get(f"/console/mailbox{path}")
        assert page.status_code == 200
        assert "<script>alert(1)" not in page.text
        assert "<img src=x" not in page.text
    assert "After" in text_of(page)
    assert "ada@example.com" in text_of(page)


async def test_html_in_a_mail_is_never_a_page(viewer: httpx2.AsyncClient, folder: Path) -> None:
    name = await send(folder)
    html = EmailMessage()
    html["Subject"] = "Only HTML"
    html.set_content("<h1 id=inside>x</h1>", subtype="html")
    (folder / name).write_bytes(html.as_bytes())
    page = await viewer.get(f"/console/mailbox/{name}")
    assert "id=inside" not in page.text
    assert "no plain text" in text_of(page)


async def test_a_mail_is_downloaded_as_it_was_sent(viewer: httpx2.AsyncClient, folder: Path) -> None:
    name = await send(folder)
    answer = await viewer.get(f"/console/mailbox/{name}/raw")
    assert answer.content == (folder / name).read_bytes()
    assert answer.headers["content-type"] == "message/rfc822"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["x", "..%2fsecret.eml", "%2e%2e", "20300101T000000.000000Z-00000000.eml", "a%00b"])
async def test_what_is_no_mail_is_not_found(viewer: httpx2.AsyncClient, folder: Path, name: str) -> None:
    await send(folder)
    (folder.parent / "secret.eml").write_text("secret")
    for path in (f"/console/mailbox/{name}", f"/console/mailbox/{name}/raw"):
        answer = await viewer.get(path)
        assert answer.status_code == 404
        assert "secret" not in answer.text.replace("secret.eml", "")


async def test_a_cursor_that_is_none_is_explained(viewer: httpx2.AsyncClient) -> None:
    answer = await viewer.get("/console/mailbox", params={"before": "../x"})
    assert answer.status_code == 400


async def test_with_a_mail_server_the_mail_of_sandboxes_is_read_here_all_the_same(
    database: Database, folder: Path
) -> None:
    app = application_of(database, lambda shell: mailbox_pages(shell, folder, sends=True))
    async with browsers(app, database) as people:
        viewer = await people.of(Role.PLATFORM_VIEWER)
        empty = text_of(await viewer.get("/console/mailbox"))
        assert "All other mail leaves by the mail server" in empty
        assert "No mail is kept here" in empty
        name = await send(folder, subject="Of a sandbox")
        assert "Of a sandbox" in text_of(await viewer.get("/console/mailbox"))
        for path in (f"/console/mailbox/{name}", f"/console/mailbox/{name}/raw"):
            assert (await viewer.get(path)).status_code == 200


async def test_those_of_a_tenant_never_see_it(people: Browsers, make_tenant: MakeTenant, folder: Path) -> None:
    name = await send(folder)
    admin = await people.of(Role.TENANT_ADMIN, await make_tenant())
    for path in ("", f"/{name}", f"/{name}/raw"):
        assert (await admin.get(f"/console/mailbox{path}")).status_code in {403, 404}
        assert (await (await people.stranger()).get(f"/console/mailbox{path}")).status_code == 303
