"""What can go wrong with the embedded server, in words for whoever starts it."""

from stoa.kernel.problems import Problem


class EmbeddedProblem(Problem):
    """The embedded PostgreSQL could not be started, or did not stay up."""

    code = "embedded_database"
    status = 503


class NoBinaries(EmbeddedProblem):
    """No usable PostgreSQL programs were found, or none of the major version that made the database folder."""

    code = "embedded_database_no_binaries"


class AlreadyRunning(EmbeddedProblem):
    """The database folder is in use by another server."""

    code = "embedded_database_already_running"


class StartFailed(EmbeddedProblem):
    """initdb or postgres ended with an error; the detail has the last lines it wrote."""

    code = "embedded_database_start_failed"
