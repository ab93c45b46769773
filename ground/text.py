"""Texts that look the same are the same."""

import unicodedata


def composed(text: str) -> str:
    """Return a text as Unicode composes it (NFC), so that it equals others that look the same."""
    return unicodedata.normalize("NFC", text)
