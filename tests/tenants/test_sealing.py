from uuid import UUID

import pytest

from stoa.db.keyring import SealingKey
from stoa.kernel.ids import TenantId
from stoa.tenants.sealing import Sealer, SecretUnreadable

OLD = SealingKey("old", b"o" * 32)
NEW = SealingKey("new", b"n" * 32)
TENANT, OTHER_TENANT = TenantId(UUID(int=1)), TenantId(UUID(int=2))
ROW, OTHER_ROW = UUID(int=3), UUID(int=4)


def test_what_is_sealed_opens_in_its_own_row() -> None:
    sealer = Sealer([NEW])
    blob = sealer.seal(b"hunter2", TENANT, "connection", ROW)
    assert b"hunter2" not in blob
    assert sealer.open(blob, TENANT, "connection", ROW) == b"hunter2"


def test_the_same_secret_never_seals_to_the_same_blob() -> None:
    sealer = Sealer([NEW])
    assert sealer.seal(b"x", TENANT, "connection", ROW) != sealer.seal(b"x", TENANT, "connection", ROW)


@pytest.mark.parametrize(
    ("tenant", "table", "row"),
    [(OTHER_TENANT, "connection", ROW), (TENANT, "connections", ROW), (TENANT, "connection", OTHER_ROW)],
)
def test_a_blob_moved_elsewhere_does_not_open(tenant: TenantId, table: str, row: UUID) -> None:
    sealer = Sealer([NEW])
    blob = sealer.seal(b"hunter2", TENANT, "connection", ROW)
    with pytest.raises(SecretUnreadable):
        sealer.open(blob, tenant, table, row)


def test_no_changed_or_shortened_blob_opens() -> None:
    sealer = Sealer([NEW])
    blob = sealer.seal(b"hunter2", TENANT, "connection", ROW)
    changed = [blob[:place] + bytes((blob[place] ^ 1,)) + blob[place + 1 :] for place in range(len(blob))]
    shortened = [blob[:length] for length in range(len(blob))]
    for bad in (*changed, *shortened, blob + b"x"):
        with pytest.raises(SecretUnreadable):
            sealer.open(bad, TENANT, "connection", ROW)


def test_after_a_rotation_the_old_key_opens_and_the_new_one_seals() -> None:
    blob = Sealer([OLD]).seal(b"hunter2", TENANT, "connection", ROW)
    rotated = Sealer([NEW, OLD])
    assert rotated.open(blob, TENANT, "connection", ROW) == b"hunter2"
    assert not rotated.is_newest(blob)
    resealed = rotated.seal(b"hunter2", TENANT, "connection", ROW)
    assert rotated.is_newest(resealed)
    assert Sealer([NEW]).open(resealed, TENANT, "connection", ROW) == b"hunter2"


def test_a_retired_key_is_named() -> None:
    blob = Sealer([OLD]).seal(b"hunter2", TENANT, "connection", ROW)
    with pytest.raises(SecretUnreadable, match="'old'"):
        Sealer([NEW]).open(blob, TENANT, "connection", ROW)


def test_a_key_renamed_in_the_blob_is_noticed() -> None:
    twin = SealingKey("dlo", OLD.key)
    blob = Sealer([OLD]).seal(b"hunter2", TENANT, "connection", ROW)
    with pytest.raises(SecretUnreadable):
        Sealer([twin]).open(blob.replace(b"old", b"dlo"), TENANT, "connection", ROW)


def test_a_sealer_without_keys_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="no sealing key"):
        Sealer([])
