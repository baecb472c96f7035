"""One bearer token lets in, as one user of Django's who is not stored."""

import os
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from bench.peers.django_users.models import Person


def bearer(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware."""
    wanted = f"Bearer {os.environ['BENCH_TOKEN']}"

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.headers.get("Authorization") == wanted:
            request.user = Person(username="bench")
        return get_response(request)

    return middleware
