"""Numbers of findings as text."""

from typing import Any

MOST_TOLD = 6  # variants that a sentence names


def listed(texts: list[str]) -> str:
    """Return the first MOST_TOLD texts, and how many more there are."""
    shown, more = texts[:MOST_TOLD], len(texts) - MOST_TOLD
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def interval_text(row: Any, value: str, low: str, high: str, sign: str = "") -> str:
    """Return a value of a row with its interval; sign: as in a format, + for a difference."""
    return f"{row[value]:{sign}.2f} [{row[low]:{sign}.2f}, {row[high]:{sign}.2f}]"


def share_text(row: Any, count: str, of: str) -> str:
    """Return a count of a row, of how many, and the interval of the share."""
    return f"{row[count]} of {row[of]} [{row['low']:.2f}, {row['high']:.2f}]"
