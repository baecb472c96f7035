"""Foreign systems speaking their real protocols over HTTP: Okta and Entra as SCIM clients, Workday as a report server.

Nothing here knows the platform, and the platform knows nothing from here: they meet over the network only.
"""
