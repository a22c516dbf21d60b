"""How the page writes numbers: four significant figures, money by its currency, a dash for what is not known."""

import math
from datetime import datetime

from markupsafe import Markup

DASH = "–"
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}


def number(value: float | None, digits: int = 4) -> str:
    """`value` to `digits` significant figures, thousands separated, never in scientific notation."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    if decimals <= 0:
        return f"{round(value, decimals):,.0f}"
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".")


def money(value: float | None, currency: str | None, digits: int = 4) -> str:
    """An amount with its currency: $0.03468, $262,500, CHF 12.50."""
    if value is None or not math.isfinite(value):
        return number(value)
    text = f"{abs(value):.2f}" if 1 <= abs(value) < 1000 else number(abs(value), digits)
    if value and len(text.partition(".")[2]) == 1:
        text += "0"
    return f"{'−' if value < 0 else ''}{_sign(currency)}{text}"


def cents(value: float | None, currency: str | None) -> str:
    """An amount to the cent: $1,234.50."""
    if value is None or not math.isfinite(value):
        return number(value)
    return f"{'−' if value < 0 else ''}{_sign(currency)}{abs(value):,.2f}"


def _sign(currency: str | None) -> str:
    return _SIGNS.get(currency or "", f"{currency} " if currency else "")


def percent(share: float | None) -> str:
    """A share as a percentage to three significant figures."""
    return DASH if share is None or math.isnan(share) else f"{number(share * 100, 3)} %"


def signed_percent(share: float | None) -> str:
    """A change as a percentage with its sign: +4.2 %, −12 %."""
    if share is None or math.isnan(share):
        return DASH
    return f"{'+' if share > 0 else '−' if share < 0 else ''}{number(abs(share) * 100, 2)} %"


def interval(low: float | None, high: float | None) -> str:
    """A 95 % interval to three figures; nothing where one end is not known."""
    return "" if low is None or high is None else f"{number(low, 3)}–{number(high, 3)}"


def money_interval(low: float | None, high: float | None, currency: str | None) -> str:
    """The same of an amount; nothing where both ends are written alike, as those of a price list."""
    if low is None or high is None:
        return ""
    lowest, highest = money(low, currency, 3), money(high, currency, 3)
    return f"{lowest}–{highest}" if lowest != highest else ""


def when(at: datetime | None) -> str:
    """A UTC time to the minute."""
    return DASH if at is None else f"{at:%Y-%m-%d %H:%M}"


def exact(text: str, value: float | None) -> Markup:
    """`text` for the reader with the unrounded `value` beside it for a script."""
    if value is None:
        return Markup('<span class="unknown">{}</span>').format(text)
    return Markup('<data value="{}">{}</data>').format(repr(value), text)
