"""Figures of the queue."""

from prometheus_client import Counter, Gauge, Histogram

ENDED = Counter("stoa_jobs_ended_total", "Attempts that ended, by outcome.", ["kind", "outcome"])
RUNNING = Gauge("stoa_jobs_running", "Attempts under way in this process.")
SECONDS = Histogram(
    "stoa_job_seconds", "How long an attempt took.", ["kind"], buckets=(0.01, 0.05, 0.25, 1, 5, 30, 120, 600)
)
WORKER_ERRORS = Counter("stoa_worker_errors_total", "Rounds of the worker that the database cut short.")
