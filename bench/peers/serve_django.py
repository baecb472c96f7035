"""Serves django-scim2 on an inherited listening socket: `python -m bench.peers.serve_django FD`, with BENCH_DSN and
BENCH_TOKEN in the environment. gunicorn with 4 processes of 2 threads each.
"""

import os
import sys

import django
import psycopg
from django.core.management import call_command
from gunicorn.app.wsgiapp import run

from stoa.cli.children import die_with_parent


def _tables() -> None:
    with psycopg.connect(os.environ["BENCH_DSN"]) as connection:
        connection.execute("DROP SCHEMA IF EXISTS bench_django CASCADE")
        connection.execute("CREATE SCHEMA bench_django")
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)


if __name__ == "__main__":
    die_with_parent()
    os.environ["DJANGO_SETTINGS_MODULE"] = "bench.peers.django_users.settings"
    _tables()
    options = ["--workers", "4", "--threads", "2", "--keep-alive", "75", "--log-level", "warning"]
    sys.argv = ["gunicorn", "--bind", f"fd://{sys.argv[1]}", *options, "django.core.wsgi:get_wsgi_application()"]
    sys.exit(run())
