"""Django's settings: nothing but django-scim2 and PostgreSQL, with connections that are kept."""

import os
from urllib.parse import parse_qs, unquote, urlsplit

_dsn = urlsplit(os.environ["BENCH_DSN"])

SECRET_KEY = os.environ["BENCH_TOKEN"]
ALLOWED_HOSTS = ["*"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django_scim", "bench.peers.django_users"]
# Tables are made from the models, in one go.
MIGRATION_MODULES = {"auth": None, "contenttypes": None}
AUTH_USER_MODEL = "django_users.Person"
MIDDLEWARE = ["bench.peers.django_users.letting_in.bearer", "django_scim.middleware.SCIMAuthCheckMiddleware"]
ROOT_URLCONF = "bench.peers.django_users.urls"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _dsn.path.lstrip("/"),
        "USER": _dsn.username,
        "PASSWORD": unquote(_dsn.password or ""),
        "HOST": parse_qs(_dsn.query)["host"][0],
        "CONN_MAX_AGE": None,
        "OPTIONS": {"options": "-c search_path=bench_django"},
    }
}
SCIM_SERVICE_PROVIDER = {
    "NETLOC": "localhost",
    "AUTHENTICATION_SCHEMES": [{"type": "oauthbearertoken", "name": "bearer", "description": "a token"}],
    "GROUP_MODEL": "bench.peers.django_users.models.Team",
}
