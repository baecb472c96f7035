"""Requests of one sender that come at one moment are worked off together, in one transaction."""
