"""What is read of a form, and what is refused."""

from collections.abc import Sequence

import pytest
from starlette.requests import Request

from stoa.kernel.problems import BadInput
from stoa.web.forms import Form, FormTooLarge, read_form

URLENCODED = "application/x-www-form-urlencoded"


async def sent(*chunks: bytes, media_type: str | None = URLENCODED) -> Form:
    """The form of a request whose body arrives in these pieces."""
    waiting: Sequence[bytes] = [*chunks, b""]
    pieces = iter(enumerate(waiting, 1))

    async def receive() -> dict[str, object]:
        number, body = next(pieces)
        return {"type": "http.request", "body": body, "more_body": number < len(waiting)}

    headers = [] if media_type is None else [(b"content-type", media_type.encode())]
    return await read_form(Request({"type": "http", "method": "POST", "headers": headers}, receive))


async def test_a_form_is_read() -> None:
    form = await sent(b"name=Ada+Byron&na", b"me=Grace%20%C3%A9&empty=&x=%26")
    assert dict(form) == {"name": "Grace é", "empty": "", "x": "&"}
    assert len(form) == 3


@pytest.mark.parametrize("media_type", [None, f"{URLENCODED}; charset=UTF-8", URLENCODED.upper()])
async def test_a_form_is_known_by_its_media_type(media_type: str | None) -> None:
    assert dict(await sent(b"a=1", media_type=media_type)) == {"a": "1"}


@pytest.mark.parametrize("media_type", ["multipart/form-data; boundary=x", "application/json", "text/plain", ""])
async def test_what_is_no_form_is_refused(media_type: str) -> None:
    with pytest.raises(BadInput, match="not sent as forms are"):
        await sent(b"a=1", media_type=media_type)


async def test_no_body_is_an_empty_form() -> None:
    form = await sent()
    assert dict(form) == {}
    assert form.text("name") == ""


async def test_a_form_of_64_kilobytes_is_read_and_one_byte_more_is_not() -> None:
    assert len((await sent(b"a=" + b"x" * (64 * 1024 - 2)))["a"]) == 64 * 1024 - 2
    with pytest.raises(FormTooLarge) as refused:
        await sent(b"a=" + b"x" * (64 * 1024 - 1))
    assert refused.value.status == 413
    assert "64 kB" in str(refused.value)


async def test_a_form_that_is_too_large_is_not_read_to_its_end() -> None:
    async def receive() -> dict[str, object]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 40_000, "more_body": True}

    read = 0
    with pytest.raises(FormTooLarge):
        await read_form(Request({"type": "http", "method": "POST", "headers": []}, receive))
    assert read == 2


async def test_a_hundred_fields_are_read_and_one_more_is_not() -> None:
    fields = [f"f{number}=x" for number in range(101)]
    assert len(await sent("&".join(fields[:100]).encode())) == 100
    with pytest.raises(BadInput, match="cannot be read"):
        await sent("&".join(fields).encode())


@pytest.mark.parametrize("body", [b"a=%FF", b"a=%C3", b"a=\xc3\xa9", b"%ED%A0%80=x"])
async def test_what_is_no_utf_8_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        await sent(body)


async def test_a_text_is_stripped_and_measured() -> None:
    form = await sent(b"name=%20%20Ada%20&long=" + b"x" * 201)
    assert form.text("name", most=3) == "Ada"
    assert len(form.text("long", most=201)) == 201
    with pytest.raises(BadInput, match="long has 201 characters") as refused:
        form.text("long")
    assert refused.value.extra == {"field": "long"}


async def test_a_text_with_a_character_that_cannot_be_stored_is_refused() -> None:
    form = await sent(b"name=A%00da")
    with pytest.raises(BadInput, match="cannot be stored") as refused:
        form.text("name")
    assert refused.value.extra == {"field": "name"}
