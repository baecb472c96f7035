"""The command `stoa`: everything that a script or a person at a terminal can do."""

import sys

from cyclopts import App

from stoa.cli.children import die_with_parent
from stoa.cli.common import err
from stoa.cli.demo import demo
from stoa.cli.serving import db_app, dev, web, worker
from stoa.cli.sync import sync_app
from stoa.cli.tenants import connection_app, tenant_app, token_app
from stoa.composition import VERSION
from stoa.kernel.problems import Problem

app = App(
    name="stoa",
    help="A multi-tenant learning platform that companies wire into everything they already run.",
    version=VERSION,
)
for part in (tenant_app, token_app, connection_app, sync_app, db_app):
    app.command(part)
for command in (dev, demo, web, worker):
    app.command(command)


def main() -> None:
    """Runs a command. A problem is told on standard error, and the exit code is 1."""
    die_with_parent()
    try:
        app()
    except Problem as problem:
        err.print(f"[red]error[/red] ({problem.code}): ", end="")
        err.print(problem.detail, markup=False)
        if problem.hint:
            err.print(problem.hint, markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
