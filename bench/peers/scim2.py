"""scim2-server with the User and Group of RFC 7643 in memory, as a WSGI application for gunicorn."""

import os
import secrets

from scim2_models import ScimProvider
from scim2_server.memory import InMemoryStorage
from scim2_server.service import ScimService
from scim2_server.testserver.application import BearerTokenApplication
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)

_provider = ScimProvider.from_discovery(
    list(load_default_schemas().values()),
    list(load_default_resource_types().values()),
    config=load_default_service_provider_config(),
)
application = BearerTokenApplication(
    InMemoryStorage(),
    _provider,
    service=ScimService(_provider, secret=secrets.token_urlsafe(32)),
    bearer_tokens=[os.environ["BENCH_TOKEN"]],
)
