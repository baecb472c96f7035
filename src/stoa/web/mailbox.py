"""Pages of the mailbox: mail that is not sent, for those who run the platform. A mail is shown as text alone."""

from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.outbound import mailbox
from stoa.web.guarding import platform_page
from stoa.web.visiting import Shell, Visit

_MAILBOX: Final = "/console/mailbox"
_ON_A_PAGE: Final = 50


def mailbox_pages(shell: Shell, mailbox_path: Path, *, sends: bool = False) -> list[Route]:
    """Their routes.

    mailbox_path: the folder that FileMailbox writes.
    sends: whether a mail server is configured. Then only the mail of sandbox tenants stays here, and what was kept
        before; the page says so.
    """

    async def show_list(visit: Visit) -> Response:
        before = visit.request.query_params.get("before")
        found = await mailbox.mails(mailbox_path, before=before, limit=_ON_A_PAGE + 1)
        shown = found[:_ON_A_PAGE]
        next_url = f"{_MAILBOX}?before={shown[-1].name}" if len(found) > _ON_A_PAGE else None
        return visit.page("mailbox/mailbox.html", sends=sends, mails=shown, next_url=next_url, first=before is None)

    async def show_one(visit: Visit) -> Response:
        stored = await mailbox.mail(mailbox_path, _name(visit))
        return visit.page("mailbox/mail.html", mail=stored, raw_url=f"{_MAILBOX}/{stored.head.name}/raw")

    async def download(visit: Visit) -> Response:
        name = _name(visit)
        content = await mailbox.raw_mail(mailbox_path, name)
        # As a file and nothing else: whatever is in it, no browser shows it as a page of ours.
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        return Response(content, media_type="message/rfc822", headers=headers)

    needs = Permission.MAILBOX_VIEW
    return [
        platform_page(shell, _MAILBOX, show_list, needs=needs),
        platform_page(shell, f"{_MAILBOX}/{{name}}", show_one, needs=needs),
        platform_page(shell, f"{_MAILBOX}/{{name}}/raw", download, needs=needs),
    ]


def _name(visit: Visit) -> str:
    return str(visit.request.path_params["name"])
