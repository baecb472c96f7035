"""SCIM 2.0 service provider (RFC 7643, RFC 7644): identity providers push users and groups here.

From outside in: `routes` and `http` speak HTTP; `entrance` and `turns` let senders in; `users`, `groups`, `bulk`,
`lists` and `discovery` answer; `dialects` turn what real clients send into what the RFC means; `validation`, `paths`
and `rules` decide without I/O; `wire` translates to and from `people`. Client quirks live in `dialects` alone.

Around it: `log` of what came, `own` schemas of a tenant, `conformance` checks, and `walks` through the setting up.
"""
