"""What is said when the database does not let us in: by whom it can be mended, and how."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from stoa.kernel.problems import Misconfigured

_INIT: Final = "An administrator of the database makes roles and database: stoa db init --admin-url URL"


class DatabaseUnreachable(Misconfigured):
    """No connection to the database can be had.

    Look whether the database runs at the address of the settings, and whether it can be reached from here.
    """

    code = "database_unreachable"
    status = 503


class DatabaseRefusesUs(DatabaseUnreachable):
    """The database server answers, but does not let one of Stoa's roles in.

    Whoever runs the server compares the key ring with the roles' passwords, and the server's pg_hba.conf.
    """

    code = "database_refuses_us"


class DatabaseNotMigrated(DatabaseUnreachable):
    """The database lacks migrations that this version of Stoa needs.

    Whoever runs the server applies them: `stoa db migrate`.
    """

    code = "database_not_migrated"


@contextmanager
def explained(connect_args: Mapping[str, Any]) -> Generator[None]:
    """Turns the failures of connecting with these arguments of asyncpg's into problems that say what to do.

    Raises:
        DatabaseRefusesUs: wrong password, missing role or database.
        DatabaseUnreachable: nobody answers, or the server does not take connections now; it may later.
    """
    role, where = connect_args.get("user", "the role"), _place(connect_args)
    try:
        yield
    except asyncpg.InvalidCatalogNameError as error:
        raise DatabaseRefusesUs(f"There is no such database: {where}.", hint=_INIT) from error
    except (
        asyncpg.InvalidAuthorizationSpecificationError,  # InvalidPasswordError is one of them
        asyncpg.InsufficientPrivilegeError,
    ) as error:
        raise DatabaseRefusesUs(
            f"The database {where} does not let {role} in: {error}.",
            hint=f"Is this the key ring that belongs to the database? {_INIT}",
        ) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise DatabaseUnreachable(
            f"The database {where} cannot be reached: {error or type(error).__name__}.",
            hint="Is the server running, and does STOA_DATABASE_URL name it?",
        ) from error


def _place(connect_args: Mapping[str, Any]) -> str:
    """Database and host alone: whatever else the address holds is nobody's business."""
    given = connect_args.get("dsn")
    if not given:
        return f"{connect_args.get('database', '')} at {connect_args.get('host', 'the local server')}"
    parts = urlsplit(str(given))
    options = parse_qs(parts.query)
    hosts = parts.netloc.rpartition("@")[2] or ", ".join(options.get("host", ["the local server"]))
    return f"{parts.path.lstrip('/') or options.get('dbname', ['stoa'])[0]} at {hosts}"
