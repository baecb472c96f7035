"""Figures of the webhooks."""

from prometheus_client import Counter, Gauge

ATTEMPTS = Counter("stoa_webhook_attempts_total", "Messages sent to webhook endpoints.", ["result"])
LINES = Gauge("stoa_webhook_lines", "Webhook endpoints that this process serves at present.")
ERRORS = Counter("stoa_webhook_errors_total", "Rounds and turns of the dispatcher that were cut short.")
