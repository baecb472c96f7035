"""The event stream: reading the log over HTTP and in the console."""
