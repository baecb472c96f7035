"""The one way in which text is made comparable without regard to case.

Stored `*_key` columns are written by this function on every path, never by SQL lower(), which depends on the cluster's
locale and is
not leakproof, so that no index over it could serve a row-secured query.
"""

from unicodedata import normalize


def fold(text: str) -> str:
    """`text` in NFKC, case-folded and in NFKC again, so that fold(fold(x)) == fold(x) (Unicode 15, 3.13, D147, without
    NFD).
    """
    if text.isascii():
        return text.lower()
    return normalize("NFKC", normalize("NFKC", text).casefold())
