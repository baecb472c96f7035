"""Figures of the event stream."""

from prometheus_client import Gauge

OPEN = Gauge("stoa_event_streams_open", "Streams and waiting requests that are open in this process.")
