"""How a report says things: the states of verdicts in words and symbols, numbers with as many digits as they deserve."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Word:
    """How a state is shown: never by its colour alone."""

    symbol: str
    text: str
    tone: str  # picks the colour: good, same, bad, open, flaw or none
    meaning: str


STATES: dict[str, Word] = {
    "supported": Word("✓", "supported", "good", "the whole interval is where the claim says"),
    "equivalent": Word("≈", "equivalent", "same", "the difference is within the margin, and we know it"),
    "contradicted": Word("✗", "contradicted", "bad", "the opposite of what was expected"),
    "undecided": Word("?", "undecided", "open", "the interval allows both: more seeds, or a wider margin, would settle it"),
    "anecdotal": Word("1×", "anecdotal", "open", "one replicate: no interval can be given"),
    "unfair": Word("⚠", "unfair", "flaw", "the two sides were not measured or trained alike"),
    "incomplete": Word("◐", "incomplete", "flaw", "a trial is missing or ended early"),
    "blocked": Word("⊘", "blocked", "none", "something it needs is not there"),
    "not-run": Word("○", "not run", "none", "no data yet"),
}
TONES = ("good", "same", "bad", "open", "flaw", "none")


def state_word(state: str) -> Word:
    """How `state` is shown; a state this report does not know is shown as it is written."""
    return STATES.get(state, Word("·", state, "none", ""))


def capital(text: str) -> str:
    """`text` with its first letter in capitals, the others as they are."""
    return text[:1].upper() + text[1:]


def decimals(width: float | None, value: float = 0.0) -> int:
    """Decimals that show `width` (an interval's half-width, or a spread) with two significant digits.

    Without a usable width: four significant digits of `value`.
    """
    if width is not None and math.isfinite(width) and width > 0:
        return min(8, max(0, 1 - math.floor(math.log10(width))))
    if value == 0 or not math.isfinite(value):
        return 2
    return min(8, max(0, 3 - math.floor(math.log10(abs(value)))))


def number(value: float | None, places: int | None = None) -> str:
    """`value` for a reader: a true minus sign, `places` decimals, or four significant digits; a dash when absent."""
    if value is None:
        return NOTHING
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value == 0 and places is None:
        return "0"
    if value and not 1e-4 <= abs(value) < 1e7:
        text = f"{value:.2e}"
    else:
        text = f"{value:.{decimals(None, value) if places is None else places}f}"
        if places is None and "." in text:
            text = text.rstrip("0").rstrip(".")
    text = re.sub(r"^-(0\.?0*)$", r"\1", text)
    return text.replace("-", MINUS)


def plus_minus(mean: float | None, half: float | None) -> str:
    """`mean ± half` with digits that fit the half-width; the mean alone when there is no interval."""
    if mean is None or half is None or not math.isfinite(half):
        return number(mean)
    places = decimals(half)
    return f"{number(mean, places)} ± {number(half, places)}"


def interval(lo: float | None, hi: float | None) -> str:
    """`lo to hi`, or "" when there is no interval."""
    if lo is None or hi is None or math.isnan(lo) or math.isnan(hi):
        return ""
    half = (hi - lo) / 2
    places = decimals(half if math.isfinite(half) else None)
    return f"{number(lo, places)} to {number(hi, places)}"


def percent(level: float) -> str:
    """0.95 as "95 %", 0.9833 as "98.3 %"."""
    return f"{100 * level:.3g} %"


def count(n: int, noun: str, plural: str = "") -> str:
    """`1 seed`, `3 seeds`."""
    return f"{n} {noun if n == 1 else plural or noun + 's'}"


def names(items: Sequence[str], limit: int = 8) -> str:
    """`a, b and c`; with more than `limit`, how many there are besides."""
    shown = list(items[:limit])
    if len(items) > limit:
        return ", ".join(shown) + f" and {len(items) - limit} more"
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + f" and {shown[-1]}" if shown else ""


def slug(text: str) -> str:
    """`text` as part of a file's name or an HTML id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"
