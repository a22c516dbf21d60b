"""Formulas as docs/economics.md writes them, made into formulas of a cell.

A formula is a line of names, such as `peak_rps / rps_per_instance`. `@` stands for the end of the rate's interval that
a column is about, and names that every price plan has get its number. What is not known is no number: a formula over
it says `n/a`, never 0.
"""

import re
from collections.abc import Collection

UNKNOWN = "n/a"
ENDS = ("", "_at_hi", "_at_lo")
"""At the measured rate, at the upper end of its interval, at the lower end: what a name ends with."""
_WORD = re.compile(r'"[^"]*"|[A-Za-z_][A-Za-z0-9_.]*')


def ceiling(quotient: str) -> str:
    """The next whole number of a quotient, rounded to nine places first: 100 * (1 + 0.1) / 10 is 11, not 12."""
    return f"ROUNDUP(ROUND({quotient},9),0)"


def spell(
    formula: str,
    *,
    plan: int | None = None,
    of_plans: Collection[str] = (),
    end: str = "",
    optional: Collection[str] = (),
    needs: Collection[str] = (),
) -> str:
    """`formula` for a cell of the plan numbered `plan`, or of none, that says n/a where a number is not known.

    `optional` names may be empty, or text; `needs` must be known beside those in the formula.
    """
    needed: dict[str, None] = {}

    def named(match: re.Match[str]) -> str:
        word = match[0]
        if word.startswith('"') or word.isupper():
            return word
        name = f"{word}_{plan}" if word in of_plans and plan is not None else word
        if word not in optional:
            needed[name] = None
        return name

    for name in needs:
        _WORD.sub(named, name)
    spelt = _WORD.sub(named, formula.replace("@", end)).replace(" ", "")
    if not needed:
        return f"={spelt}"
    return f'=IF(COUNT({",".join(needed)})<{len(needed)},"{UNKNOWN}",{spelt})'
