"""The pages about accounts: signing in and out, one's own account, and the operators."""

from starlette.routing import Route

from stoa.web.access_account import account_pages
from stoa.web.access_operators import operator_pages
from stoa.web.access_signing import signing_pages
from stoa.web.visiting import Shell


def access_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    return [*signing_pages(shell), *account_pages(shell), *operator_pages(shell)]
