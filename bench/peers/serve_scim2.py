"""Serves scim2-server on an inherited listening socket: `python -m bench.peers.serve_scim2 FD`.

One gunicorn process with 8 threads, so that 8 connections stay open: its default worker closes each after one answer,
and granian's WSGI makes scim2-server answer 500 to every GET (it reads a body that is not there).
"""

import sys

from gunicorn.app.wsgiapp import run

from stoa.cli.children import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    socket = f"fd://{sys.argv[1]}"
    options = ["--workers", "1", "--threads", "8", "--keep-alive", "75", "--log-level", "warning"]
    sys.argv = ["gunicorn", "--bind", socket, *options, "bench.peers.scim2:application"]
    sys.exit(run())
