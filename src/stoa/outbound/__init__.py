"""The only way out: HTTP and mail. No other room imports an HTTP or SMTP client."""
