"""Secrets at rest: AES-256-GCM, bound to the row they stand in, so that a blob copied to another row or tenant does not
open.

A blob is: version (1 byte, value 1), length of the key id (1 byte), key id (ASCII), nonce (12 random bytes), ciphertext
with its tag (16 bytes). Everything before the nonce, and tenant, table and row, are associated data (NIST SP 800-38D).
"""

import secrets
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stoa.db.keyring import SealingKey
from stoa.kernel.ids import TenantId
from stoa.kernel.problems import Misconfigured

_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16


class SecretUnreadable(Misconfigured):
    """A sealed secret does not open: its key is not in the key ring, or it was changed or moved.

    Put the key ring back from its backup, or enter the secret anew.
    """

    code = "secret_unreadable"


class Sealer:
    """Seals with the newest key, opens with any."""

    def __init__(self, sealing_keys: Sequence[SealingKey]) -> None:
        """sealing_keys: newest first.

        Raises:
            ValueError: there is none, or an id is not 1 to 255 ASCII characters.
        """
        if not sealing_keys:
            raise ValueError("there is no sealing key")
        if not all(key.id.isascii() and 1 <= len(key.id) <= 255 for key in sealing_keys):
            raise ValueError("a sealing key's id must have 1 to 255 ASCII characters")
        self._newest = sealing_keys[0].id
        self._ciphers = {key.id: AESGCM(key.key) for key in sealing_keys}

    def seal(self, plaintext: bytes, tenant_id: TenantId, table: str, row_id: UUID) -> bytes:
        """The blob of `plaintext`, which opens only with the same tenant, table and row."""
        head = _head(self._newest)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._newest].encrypt(nonce, plaintext, _bound(head, tenant_id, table, row_id))
        return head + nonce + sealed

    def open(self, blob: bytes, tenant_id: TenantId, table: str, row_id: UUID) -> bytes:
        """What was sealed.

        Raises:
            SecretUnreadable: the key is unknown, or the blob was changed or belongs elsewhere.
        """
        key_id, head_length = _read_head(blob)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SecretUnreadable(
                f"A secret in {table} was sealed with the key {key_id!r}, which the key ring does not hold.",
                hint="Put the key ring back that was in use when the secret was stored.",
            )
        nonce, sealed = blob[head_length : head_length + _NONCE_BYTES], blob[head_length + _NONCE_BYTES :]
        if len(sealed) < _TAG_BYTES:
            raise _damaged(table)
        try:
            return cipher.decrypt(nonce, sealed, _bound(blob[:head_length], tenant_id, table, row_id))
        except InvalidTag as error:
            raise _damaged(table) from error

    def is_newest(self, blob: bytes) -> bool:
        """Whether `blob` was sealed with the newest key, so that a rotation can leave it."""
        return _read_head(blob)[0] == self._newest


def _head(key_id: str) -> bytes:
    name = key_id.encode("ascii")
    return bytes((_VERSION, len(name))) + name


def _bound(head: bytes, tenant_id: TenantId, table: str, row_id: UUID) -> bytes:
    # The head tells its own length and the ids have a fixed one, so no two rows have the same associated data.
    return head + tenant_id.bytes + row_id.bytes + table.encode()


def _read_head(blob: bytes) -> tuple[str, int]:
    if len(blob) < 2 or blob[0] != _VERSION or len(blob) < 2 + blob[1]:
        raise SecretUnreadable("A sealed secret is damaged.", hint="Enter the secret anew.")
    length = 2 + blob[1]
    return blob[2:length].decode("ascii", errors="replace"), length


def _damaged(table: str) -> SecretUnreadable:
    return SecretUnreadable(
        f"A secret in {table} was changed, or moved from another row.", hint="Enter the secret anew."
    )
