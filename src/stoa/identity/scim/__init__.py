"""SCIM 2.0 service provider (RFC 7643, RFC 7644): identity providers push users here.

From outside in: `routes` and `http` speak HTTP, `users` and `discovery` answer, `dialects` turn what real clients
send into what the RFC means, `validation`, `paths` and `rules` decide without I/O, `wire` translates to and from
`people`. Client quirks live in `dialects` alone.
"""
