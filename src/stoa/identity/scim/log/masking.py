"""What a viewer of the log is shown of a body: fields that only few need to read are masked until somebody asks."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stoa.identity.scim.log.bodies import is_secret
from stoa.identity.scim.validation import is_list, is_object

MASK: Final = "••••••"
# Parts of a name that tell of something private, in whichever schema it stands: a tenant's own too.
_PRIVATE: Final = re.compile(
    "phone|mobile|fax|address(?!.*email)|birth|dateofb|^dob$|gender|^sex$|ssn|socialsec|nationalid|national_id|passport|"
    "taxid|tax_id|iban|bank|salary|wage|religion|ethnic|disab|health|marital|photo|^ims$|homepage|emergency|relig"
)
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def is_private(name: str) -> bool:
    """Whether values of an attribute of this name, or at this path, are masked."""
    last = re.sub(r"\[[^\]]*\]", "", name).rpartition(":")[2].lower()
    return any(_PRIVATE.search(part) is not None for part in last.split("."))


def masked(value: Any) -> Any:
    """`value`, as JSON, with what is private masked, whatever it is; and what is secret, should there be any."""
    if is_object(value):
        path = next((one for name, one in value.items() if name.lower() == "path"), None)
        hides = isinstance(path, str) and _hidden(path)
        return {
            name: _covered(one) if _hidden(name) or (hides and name.lower() == "value") else masked(one)
            for name, one in value.items()
        }
    if is_list(value):
        return [masked(one) for one in value]
    return value


def masked_fields(fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Columns of the journal with what is private masked."""
    return None if fields is None else {name: _covered(one) if _hidden(name) else one for name, one in fields.items()}


def _hidden(name: str) -> bool:
    return is_private(name) or is_secret(name)


def _covered(value: Any) -> Any:
    """How many there are stays to be seen, and that there is something."""
    if value is None or isinstance(value, bool):
        return value
    if is_list(value):
        return [_covered(one) for one in value]
    if is_object(value):
        return {name: one if name.lower() in {"type", "primary"} else _covered(one) for name, one in value.items()}
    return MASK


def shown(text: bytes, *, cut: bool, revealed: bool) -> str | None:
    """A body for people to read, with line breaks; None if there is none.

    cut: it is but the beginning of one, which cannot be masked, so nothing of it is shown unless it is revealed.
    """
    if not text:
        return None
    if cut:
        return text.decode(errors="replace") + " …" if revealed else None
    content = _decode(text)
    return msgspec.json.format(_encode(content if revealed else masked(content)), indent=2).decode()


def shown_query(query: str, *, revealed: bool) -> str:
    """The query as it was sent; masked as a whole if it names something private."""
    return query if revealed or not _PRIVATE.search(query.lower()) else MASK
