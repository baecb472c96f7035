"""The system account the server runs as. PostgreSQL refuses root, so root steps down to an unprivileged account."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stoa.db.embedded.problems import EmbeddedProblem

UNPRIVILEGED: Final = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """Who the server's programs run as.

    Attributes:
        name: for messages.
        uid, gid: numeric ids.
        switched: true when the launcher is root and has to become this account.
    """

    name: str
    uid: int
    gid: int
    switched: bool


def server_account(cluster: Path) -> Account:
    """Chooses the account: the launcher's own; for root, the owner of the existing cluster folder, else `postgres`,
    else `nobody`.

    Raises:
        EmbeddedProblem: the cluster belongs to somebody else, or root finds no unprivileged account.
    """
    owner = cluster.stat().st_uid if cluster.exists() else None
    me = os.geteuid()
    if me != 0:
        if owner is not None and owner != me:
            raise EmbeddedProblem(
                f"The database folder {cluster} belongs to the account {_name(owner)}.",
                hint="Start Stoa as that account, or as root if root made it.",
            )
        return Account(_name(me), me, os.getegid(), switched=False)
    if owner == 0:
        raise EmbeddedProblem(
            f"The database folder {cluster} belongs to root, and PostgreSQL does not run as root.",
            hint=f"Give it to an unprivileged account: chown -R postgres {cluster}",
        )
    found = _by_uid(owner) if owner is not None else _first_known(UNPRIVILEGED)
    if found is None:
        raise EmbeddedProblem(
            f"Root needs an unprivileged account to run PostgreSQL as, and has none of {', '.join(UNPRIVILEGED)}.",
            hint="Add one (useradd --system postgres), or start Stoa as an ordinary user.",
        )
    return found


def can_reach(account: Account, folder: Path) -> bool:
    """Whether the account may walk to `folder`: the system says so of one's own, the modes of another."""
    if not account.switched:
        return os.access(folder, os.X_OK, effective_ids=os.access in os.supports_effective_ids)
    resolved = folder.resolve()
    return all(_allows(account, place) for place in (resolved, *resolved.parents))


def _allows(account: Account, folder: Path) -> bool:
    status = folder.stat()
    if status.st_uid == account.uid:
        needed = stat.S_IXUSR
    elif status.st_gid == account.gid:
        needed = stat.S_IXGRP
    else:
        needed = stat.S_IXOTH
    return bool(status.st_mode & needed)


def _first_known(names: tuple[str, ...]) -> Account | None:
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid, switched=True)
    return None


def _by_uid(uid: int) -> Account | None:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switched=True)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"with the number {uid}"
