"""Figures of the event log."""

from prometheus_client import Counter

WRITTEN = Counter("stoa_events_written_total", "Events written, rolled-back transactions included.")
NUMBERED = Counter("stoa_events_numbered_total", "Events that got their number in this process.")
SEQUENCER_ERRORS = Counter("stoa_sequencer_errors_total", "Rounds of the sequencer that the database cut short.")
