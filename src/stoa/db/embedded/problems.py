"""What can go wrong with the embedded server, in words for whoever starts it."""

from stoa.kernel.problems import Problem


class EmbeddedProblem(Problem):
    """The embedded PostgreSQL could not be started, or did not stay up.

    Its log is in the state folder; a server of your own takes its place with STOA_DATABASE_URL.
    """

    code = "embedded_database"
    status = 503


class NoBinaries(EmbeddedProblem):
    """No usable PostgreSQL programs were found, or none of the major version that made the database folder.

    Run `make setup` again, or install PostgreSQL of that version.
    """

    code = "embedded_database_no_binaries"


class AlreadyRunning(EmbeddedProblem):
    """The database folder is in use by another server.

    Stop the other one, or use it: commands find it by themselves.
    """

    code = "embedded_database_already_running"


class StartFailed(EmbeddedProblem):
    """The embedded PostgreSQL ended with an error; the detail has the last lines it wrote.

    Mend what they name, such as a full disk, and start again.
    """

    code = "embedded_database_start_failed"
