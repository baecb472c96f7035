"""What a browser sends when somebody submits a form: `application/x-www-form-urlencoded`, and little of it."""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from stoa.kernel.problems import BadInput

_MOST_BYTES: Final = 64 * 1024
_MOST_FIELDS: Final = 100
_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"


class FormTooLarge(BadInput):
    """The form is larger than any of this server's. Send less in it. A report is not uploaded by a form."""

    code = "form_too_large"
    status = 413


class Form(Mapping[str, str]):
    """The fields as they were sent; of a name that was sent several times, the last."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def text(self, name: str, most: int = 200) -> str:
        """A field without white space around it; empty if it was not sent.

        Raises:
            BadInput: it has more than `most` characters, or a character that no text may hold.
        """
        text = self._fields.get(name, "").strip()
        if len(text) > most:
            raise BadInput(f"{name} has {len(text):,} characters.", hint=f"At most {most:,} are possible.", field=name)
        if "\x00" in text:
            raise BadInput(f"{name} holds a character that cannot be stored.", field=name)
        return text


async def read_form(request: Request) -> Form:
    """The form in a request's body.

    Raises:
        BadInput: it is not urlencoded UTF-8, has over 100 fields, or over 64 kB.
    """
    sent = request.headers.get("content-type", _MEDIA_TYPE).partition(";")[0].strip().lower()
    if sent != _MEDIA_TYPE:
        raise BadInput("The form was not sent as forms are.", hint="Submit it from the page.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise FormTooLarge("The form is too large.", hint=f"At most {_MOST_BYTES // 1024} kB are possible.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise BadInput("The form cannot be read.", hint="Reload the page and submit it again.") from None
    return Form(dict(pairs))
