"""The key ring: the one file with the passwords of the database roles and the keys that seal secrets at rest.

It is JSON, readable by its owner alone (mode 0600), replaced atomically, and lives outside the database folder and its
backups: whoever holds a copy of the database must not hold the keys as well.
"""

import base64
import binascii
import contextlib
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self, cast

from stoa.kernel.problems import Problem

KEY_BYTES: Final = 32
_FORMAT: Final = 1
_ADVICE_LOST: Final = (
    "Put the key ring back from its own backup: without it the roles' passwords and the sealed secrets cannot be read."
)


class KeyRingProblem(Problem):
    """The key ring is missing, cannot be read, is open to others, or is not a key ring.

    The detail says which. The file must be readable by its owner alone.
    """

    code = "key_ring"
    status = 500


class KeyRingMissing(KeyRingProblem):
    """There is no key ring at the given path.

    Put it back from its own backup: without it neither the database nor the sealed secrets can be opened.
    """

    code = "key_ring_missing"


class KeyRingExists(KeyRingProblem):
    """A key ring was to be created where there is a file already.

    Use it, or move it away if it belongs to another installation. It is never overwritten.
    """

    code = "key_ring_exists"


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A key for AES-256-GCM.

    Attributes:
        id: names the key beside what it sealed; never reused.
        key: 32 random bytes.
    """

    id: str
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not self.id or len(self.key) != KEY_BYTES:
            raise ValueError(f"a sealing key has an id and {KEY_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """What the key-ring file holds.

    Attributes:
        passwords: database role to password. Empty until the roles are made (`stoa.db.roles.init_roles`).
        sealing_keys: newest first: the first seals, all of them open.
        hash_key: 32 bytes that key the row hashes, so that a hash tells nothing to those without it.
    """

    passwords: Mapping[str, str] = field(repr=False)
    sealing_keys: tuple[SealingKey, ...]
    hash_key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not self.sealing_keys or len(self.hash_key) != KEY_BYTES:
            raise ValueError(f"a key ring has at least one sealing key and a hash key of {KEY_BYTES} bytes")
        if len({key.id for key in self.sealing_keys}) != len(self.sealing_keys):
            raise ValueError("two sealing keys have the same id")
        object.__setattr__(self, "passwords", MappingProxyType(dict(self.passwords)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a key ring.

        Raises:
            KeyRingMissing: nothing is there.
            KeyRingProblem: it cannot be read, other users may read it, or it is not a key ring.
        """
        return cls._parsed(_read_private(path), path)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Writes a new key ring with fresh random keys and no passwords. Folders on the way are made with mode 0700.

        Raises:
            KeyRingExists: there is a file already; it is left as it is.
            KeyRingProblem: it cannot be written.
        """
        key = SealingKey(id=secrets.token_hex(6), key=secrets.token_bytes(KEY_BYTES))
        ring = cls(passwords={}, sealing_keys=(key,), hash_key=secrets.token_bytes(KEY_BYTES))
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = ring._written_beside(path)
            try:
                os.link(temporary, path)
            finally:
                temporary.unlink()
            _sync_folder(path.parent)
        except FileExistsError as error:
            raise KeyRingExists(f"There is a file at {path} already; it was not overwritten.") from error
        except OSError as error:
            raise KeyRingProblem(f"The key ring {path} cannot be written: {error.strerror}.") from error
        return ring

    def with_passwords(self, passwords: Mapping[str, str]) -> Self:
        """The same key ring with these passwords added, or put in place of the old ones of the same roles."""
        return replace(self, passwords={**self.passwords, **passwords})

    def save(self, path: Path) -> None:
        """Replaces the file at `path` in one step: a reader sees the old key ring or the new one, never a part.

        Raises:
            KeyRingProblem: it cannot be written.
        """
        try:
            temporary = self._written_beside(path)
            try:
                # Run by root over another user's key ring, it stays that user's.
                if os.geteuid() == 0 and path.exists():
                    before = path.stat()
                    os.chown(temporary, before.st_uid, before.st_gid)
                temporary.replace(path.resolve())
            except OSError:
                temporary.unlink()
                raise
            _sync_folder(path.resolve().parent)
        except OSError as error:
            raise KeyRingProblem(f"The key ring {path} cannot be written: {error.strerror}.") from error

    def _written_beside(self, path: Path) -> Path:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.resolve().parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(self._text())
            file.flush()
            os.fsync(file.fileno())
        return Path(name)

    def _text(self) -> str:
        body = {
            "format": _FORMAT,
            "passwords": dict(self.passwords),
            "sealing_keys": [{"id": key.id, "key": base64.b64encode(key.key).decode()} for key in self.sealing_keys],
            "hash_key": base64.b64encode(self.hash_key).decode(),
        }
        return json.dumps(body, indent=2) + "\n"

    @classmethod
    def _parsed(cls, text: str, path: Path) -> Self:
        # What json.loads returns is checked by use; the message names no content, for the content is secret.
        try:
            body = cast("Mapping[str, object]", json.loads(text))
            if body["format"] != _FORMAT:
                raise KeyRingProblem(
                    f"The key ring {path} has format {body['format']!r}; this version of Stoa reads format {_FORMAT}."
                )
            keys = cast("list[Mapping[str, str]]", body["sealing_keys"])
            passwords = cast("Mapping[object, object]", body["passwords"])
            return cls(
                passwords={_string(role): _string(password) for role, password in passwords.items()},
                sealing_keys=tuple(SealingKey(id=_string(key["id"]), key=_decoded(key["key"])) for key in keys),
                hash_key=_decoded(body["hash_key"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise KeyRingProblem(f"The file {path} is not a key ring, or is damaged.", hint=_ADVICE_LOST) from error


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _decoded(value: object) -> bytes:
    try:
        return base64.b64decode(_string(value), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _read_private(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise KeyRingProblem(f"The key ring {path} is not a regular file.")
            if mode & 0o077:
                raise KeyRingProblem(
                    f"The key ring {path} is open to other users (mode {stat.S_IMODE(mode):04o}).",
                    hint=f"Close it with: chmod 600 {path}",
                )
            return file.read()
    except FileNotFoundError as error:
        raise KeyRingMissing(f"There is no key ring at {path}.", hint=_ADVICE_LOST) from error
    except UnicodeDecodeError as error:
        raise KeyRingProblem(f"The file {path} is not a key ring, or is damaged.", hint=_ADVICE_LOST) from error
    except OSError as error:
        raise KeyRingProblem(f"The key ring {path} cannot be read: {error.strerror}.") from error


def _sync_folder(folder: Path) -> None:
    # Some file systems refuse to sync a folder; the rename is atomic there all the same.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
