"""The command `stoa`: everything that a script or a person at a terminal can do."""

import sys
from typing import NoReturn

from cyclopts import App, Parameter

from stoa.cli.alerts import alert_app
from stoa.cli.audit import audit_app
from stoa.cli.children import die_with_parent
from stoa.cli.clients import client_app
from stoa.cli.common import err
from stoa.cli.demo import demo
from stoa.cli.limits import tenant_limits as tenant_limits
from stoa.cli.openapi import openapi
from stoa.cli.operators import operator_app
from stoa.cli.serving import db_app, dev, web, worker
from stoa.cli.sync import sync_app
from stoa.cli.tenants import connection_app, tenant_app, token_app
from stoa.cli.webhooks import webhook_app
from stoa.composition import VERSION
from stoa.db.errors import TROUBLE
from stoa.kernel.problems import Problem


class Unreachable(Problem):
    """The database is away, or broke off.

    Look whether it runs and can be reached from here; then repeat the command.
    """

    code = "database_trouble"
    status = 503


app = App(
    name="stoa",
    help="A multi-tenant learning platform that companies wire into everything they already run.",
    version=VERSION,
    # No --no-this and --empty-that: each switch has one name.
    default_parameter=Parameter(negative=()),
)
for part in (
    *(tenant_app, token_app, client_app, connection_app, operator_app, sync_app),
    *(alert_app, audit_app, webhook_app, db_app),
):
    app.command(part)
for command in (dev, demo, web, worker, openapi):
    app.command(command)


def main() -> None:
    """Runs a command. A problem is told on standard error, and the exit code is 1."""
    die_with_parent()
    try:
        app()
    except Problem as problem:
        _tell(problem)
    except ExceptionGroup as group:
        problem = _first_problem(group)
        if problem is None:
            raise
        _tell(problem)
    except TROUBLE as error:
        _tell(Unreachable(f"The database did not do what it was asked: {error or type(error).__name__}."))
    except KeyboardInterrupt:
        sys.exit(130)


def _tell(problem: Problem) -> NoReturn:
    err.print(f"[red]error[/red] ({problem.code}): ", end="")
    err.print(problem.detail, markup=False)
    if problem.hint:
        err.print(problem.hint, markup=False)
    sys.exit(1)


def _first_problem(group: ExceptionGroup[Exception]) -> Problem | None:
    """The first Problem of those that ended several things at once."""
    found: Problem | ExceptionGroup[Problem] | None = group.subgroup(Problem)
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found
