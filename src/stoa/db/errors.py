"""The driver's errors that other rooms may name: only `db` imports the driver."""

from typing import Final

import asyncpg

UniqueViolation = asyncpg.UniqueViolationError
ForeignKeyViolation = asyncpg.ForeignKeyViolationError
CheckViolation = asyncpg.CheckViolationError
# A statement took longer than its transaction allows.
TookTooLong = asyncpg.QueryCanceledError

# The server is away, going or full; a later try may do.
UNAVAILABLE: Final[tuple[type[Exception], ...]] = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.TooManyConnectionsError,
    OSError,
)
# Whatever the server or the way to it may answer: what a loop that must go on looks out for.
TROUBLE: Final[tuple[type[Exception], ...]] = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
# Two transactions met; trying the whole transaction again is right.
COLLISION: Final[tuple[type[Exception], ...]] = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
