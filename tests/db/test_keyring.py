"""The key-ring file."""

import json
import os
import stat
from pathlib import Path

import pytest

from stoa.db.keyring import KeyRing, KeyRingExists, KeyRingMissing, KeyRingProblem, SealingKey


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keyring.json"


def test_a_new_key_ring_is_read_back_as_it_was(path: Path) -> None:
    ring = KeyRing.create(path)
    assert KeyRing.load(path) == ring
    assert len(ring.sealing_keys[0].key) == 32
    assert len(ring.hash_key) == 32
    assert ring.passwords == {}


def test_two_key_rings_share_no_key(tmp_path: Path) -> None:
    one, two = KeyRing.create(tmp_path / "one"), KeyRing.create(tmp_path / "two")
    keys = {one.sealing_keys[0].key, two.sealing_keys[0].key, one.hash_key, two.hash_key}
    assert len(keys) == 4
    assert one.sealing_keys[0].id != two.sealing_keys[0].id


def test_the_file_is_its_owners_alone_also_under_a_lax_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        ring = KeyRing.create(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        ring.with_passwords({"stoa_app": "x"}).save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_creating_never_overwrites(path: Path) -> None:
    ring = KeyRing.create(path)
    with pytest.raises(KeyRingExists, match="not overwritten"):
        KeyRing.create(path)
    assert KeyRing.load(path) == ring


def test_passwords_are_added_and_replaced_and_the_keys_stay(path: Path) -> None:
    ring = KeyRing.create(path).with_passwords({"stoa_app": "a", "stoa_sync": "b"})
    ring.with_passwords({"stoa_app": "c"}).save(path)
    again = KeyRing.load(path)
    assert dict(again.passwords) == {"stoa_app": "c", "stoa_sync": "b"}
    assert again.sealing_keys == ring.sealing_keys
    assert again.hash_key == ring.hash_key


def test_the_order_of_the_sealing_keys_stays(path: Path) -> None:
    ring = KeyRing.create(path)
    rotated = KeyRing(ring.passwords, (SealingKey("newer", b"n" * 32), *ring.sealing_keys), ring.hash_key)
    rotated.save(path)
    assert [key.id for key in KeyRing.load(path).sealing_keys] == ["newer", ring.sealing_keys[0].id]


def test_saving_leaves_nothing_beside_the_file(path: Path) -> None:
    KeyRing.create(path).with_passwords({"stoa_app": "a"}).save(path)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_saving_through_a_link_keeps_the_link(path: Path, tmp_path: Path) -> None:
    ring = KeyRing.create(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    ring.with_passwords({"stoa_app": "a"}).save(link)
    assert link.is_symlink()
    assert KeyRing.load(path).passwords["stoa_app"] == "a"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_key_ring_that_is_open_to_others_is_refused(path: Path, mode: int) -> None:
    KeyRing.create(path)
    path.chmod(mode)
    with pytest.raises(KeyRingProblem, match="chmod 600"):
        KeyRing.load(path)


def test_a_missing_key_ring_says_so(path: Path) -> None:
    with pytest.raises(KeyRingMissing, match="no key ring"):
        KeyRing.load(path)


def test_a_folder_is_no_key_ring(tmp_path: Path) -> None:
    with pytest.raises(KeyRingProblem, match="cannot be read"):
        KeyRing.load(tmp_path)


def _damage(path: Path, **members: object) -> None:
    body = json.loads(path.read_text())
    body.update(members)
    path.write_text(json.dumps(body))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}", '{"format": 1}', "\x00"])
def test_other_content_is_refused(path: Path, text: str) -> None:
    KeyRing.create(path)
    path.write_text(text)
    with pytest.raises(KeyRingProblem, match="not a key ring, or is damaged"):
        KeyRing.load(path)


@pytest.mark.parametrize(
    "members",
    [
        {"hash_key": "c2hvcnQ="},
        {"hash_key": "not base64 at all!"},
        {"hash_key": None},
        {"sealing_keys": []},
        {"sealing_keys": [{"id": "a"}]},
        {"sealing_keys": {"id": "a"}},
        {"passwords": ["stoa_app"]},
        {"passwords": {"stoa_app": 7}},
    ],
)
def test_a_damaged_member_is_refused_and_not_shown(path: Path, members: dict[str, object]) -> None:
    KeyRing.create(path)
    _damage(path, **members)
    with pytest.raises(KeyRingProblem, match="not a key ring, or is damaged") as caught:
        KeyRing.load(path)
    assert "not base64 at all" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    KeyRing.create(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KeyRingProblem, match="not a key ring"):
        KeyRing.load(path)


def test_a_later_format_is_refused_by_its_number(path: Path) -> None:
    KeyRing.create(path)
    _damage(path, format=2)
    with pytest.raises(KeyRingProblem, match="format 2"):
        KeyRing.load(path)


def test_no_secret_is_in_the_representation(path: Path) -> None:
    ring = KeyRing.create(path).with_passwords({"stoa_app": "correct horse"})
    shown = repr(ring)
    assert "correct horse" not in shown
    assert repr(ring.hash_key) not in shown
    assert repr(ring.sealing_keys[0].key) not in shown


def test_a_key_of_another_length_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SealingKey("a", b"short")


def test_passwords_cannot_be_changed_in_place(path: Path) -> None:
    ring = KeyRing.create(path)
    with pytest.raises(TypeError):
        ring.passwords["stoa_app"] = "x"  # pyright: ignore[reportIndexIssue] - that it fails is the point
