"""What a request did and why, in sentences, with what to do about it and who can: what a visitor reads of it comes from
here alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from stoa.changes.words import REASONS
from stoa.identity.scim.http import Word
from stoa.identity.scim.log.model import FAILED, Line
from stoa.identity.scim.validation import is_object

Gettext = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Told:
    """A request in words.

    Attributes:
        what: what it did.
        why: for what reason; empty where there is nothing to say.
        advice: what to do, and who can; empty where nothing needs to be done.
    """

    what: str
    why: str = ""
    advice: str = ""


def detail_of(answer: bytes) -> str:
    """What an answer of SCIM says went wrong; empty where it says nothing."""
    try:
        content = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    detail = content.get("detail") if is_object(content) else None
    return detail if isinstance(detail, str) else ""


def told(line: Line, detail: str, gettext: Gettext) -> Told:
    """A request in words. detail: of the answer, where somebody may read it."""
    _ = gettext
    done = {
        Word.READ: _("It asked, and was answered. Nothing was changed."),
        Word.CREATED: _("It made somebody, or something, that was not known before."),
        Word.LINKED: _("It made a record of somebody who was known already."),
        Word.REVIVED: _("It brought back, under the old id, who had left."),
        Word.UPDATED: _("It changed what this provider says."),
        Word.UNCHANGED: _("It changed nothing: it said what was known already."),
        Word.REMOVED: _("It ended access. The history stays."),
    }
    if line.outcome in done:
        return Told(done[Word(line.outcome)], _because(line, gettext))
    match line.outcome:
        case Word.HELD:
            return Told(
                _("It is written down and answered as done, but its effect is held."),
                _("So many of its kind came that somebody has to look first."),
                _("An administrator of the tenant approves or rejects the run below."),
            )
        case Word.MIXED:
            return _several(line, gettext)
        case _ if line.outcome == FAILED:
            return _failed(line, gettext)
        case _:
            return _refused(line, detail, gettext)


def _several(line: Line, gettext: Gettext) -> Told:
    """Of a bulk request, whose reason tells how many of its operations came to what."""
    _ = gettext
    what, why = _("It did several things, each of which went well or not by itself."), line.reason
    if not any(why.endswith(f" {word}") or f" {word}," in why for word in (Word.REFUSED, FAILED)):
        return Told(what, why)
    advice = _(
        "The answer below says of each operation that was refused why it was. The admin of the identity provider "
        "corrects these; the others are done, and need not be sent again."
    )
    return Told(what, why, advice)


def _because(line: Line, gettext: Gettext) -> str:
    return gettext(REASONS.get(line.reason, "")) if REASONS.get(line.reason) else line.reason


def _failed(line: Line, gettext: Gettext) -> Told:
    _ = gettext
    if line.status == 503:
        return Told(
            _("It was sent back to be tried again later."),
            _("The database was busy or away."),
            _("Nobody needs to act: the provider tries again by itself. The operator of the server, if it lasts."),
        )
    return Told(
        _("This server failed to answer it. Nothing was changed."),
        _("The reason stands in the server's own log under the trace id."),
        _("The operator of the server looks it up and reports it; the provider tries again by itself."),
    )


def _refused(line: Line, detail: str, gettext: Gettext) -> Told:
    _ = gettext
    what = _("It was refused. Nothing was changed.")
    match line.status:
        case 401:
            return Told(
                what,
                _("The token that it came with has expired, or was revoked."),
                _(
                    "An administrator of the tenant issues a token on the provider's page; the admin of the identity "
                    "provider puts it into the connection."
                ),
            )
        case 403:
            return Told(
                what,
                detail or _("The token is not for SCIM."),
                _("An administrator of the tenant issues a token on the provider's page."),
            )
        case 404:
            return Told(
                what,
                detail or _("There is nothing under this address."),
                _(
                    "The id may be of a user whom the provider deleted, or of another connection. The admin of the "
                    "identity provider assigns the user anew; the POST that follows brings them back."
                ),
            )
        case 409:
            return Told(
                what,
                detail or _("It could not be told who is meant, or a name is taken."),
                _(
                    "The admin of the identity provider corrects user name, external id or employee number, or an "
                    "administrator of the tenant decides who it is. Then it is sent again, or done once more here."
                ),
            )
        case 412:
            return Told(what, detail or _("Somebody had changed it since the provider read it."))
        case 501:
            return Told(what, detail or _("This part of SCIM is not offered."))
        case _:
            return Told(
                what,
                detail or _("It could not be understood."),
                _("The admin of the identity provider corrects the mapping of the attribute that is named."),
            )
