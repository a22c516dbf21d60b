"""The value of a cell's formula, for readers of the workbook that do not calculate.

As much of a spreadsheet's language as our formulas use. What is empty is None, counts for 0 in a sum, and is no number
for COUNT. A test holds the values against the warehouse's and against LibreOffice's.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(r'\s*(?:(\d+\.?\d*(?:E[+-]?\d+)?)|("[^"]*")|([A-Za-z_]\w*)|(<=|>=|<>|[-+*/(),=<>]))')
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b), "<>": lambda a, b: bool(a != b), "<": lambda a, b: bool(a < b),
    ">": lambda a, b: bool(a > b), "<=": lambda a, b: bool(a <= b), ">=": lambda a, b: bool(a >= b),
}  # fmt: skip
_DIVISION = "#DIV/0!"


def evaluate(formula: str, names: Mapping[str, Any]) -> Any:
    """Value of `formula` (`=…`) with the values of its `names`.

    Raises:
        ValueError: text where a number belongs, or a division by 0: a spreadsheet shows an error there.

    """
    return _Reader(formula.removeprefix("="), names).whole()


class _Reader:
    """Reads a formula from left to right; a part that IF does not take is read without being calculated."""

    def __init__(self, text: str, names: Mapping[str, Any]) -> None:
        self._tokens: list[str] = [next(kind for kind in match if kind) for match in _TOKEN.findall(text)]
        self._at, self._names, self._idle = 0, names, 0

    def whole(self) -> Any:
        value = self._comparison()
        if self._at < len(self._tokens):
            raise ValueError(f"{self._tokens[self._at]!r} was not expected there")
        return value

    def _next(self, *expected: str) -> str | None:
        if self._at < len(self._tokens) and (not expected or self._tokens[self._at] in expected):
            self._at += 1
            return self._tokens[self._at - 1]
        return None

    def _comparison(self) -> Any:
        left = self._sum()
        sign = self._next(*_COMPARE)
        if sign is None:
            return left
        right = self._sum()
        return None if self._idle else _COMPARE[sign](*(0 if side is None else side for side in (left, right)))

    def _sum(self) -> Any:
        total = self._product()
        while sign := self._next("+", "-"):
            term = self._product()
            total = self._number(total) + (1 if sign == "+" else -1) * self._number(term)
        return total

    def _product(self) -> Any:
        total = self._factor()
        while sign := self._next("*", "/"):
            factor = self._number(self._factor())
            if sign == "/" and not factor and not self._idle:
                raise ValueError(_DIVISION)
            total = self._number(total) * factor if sign == "*" else self._number(total) / (factor or 1)
        return total

    def _number(self, value: Any) -> float:
        if isinstance(value, str):
            raise ValueError(f"{value!r} is no number")
        return 0 if self._idle or value is None else value

    def _factor(self) -> Any:
        token = self._next()
        if token == "-":
            return -self._number(self._factor())
        if token == "(":
            value = self._comparison()
            self._next(")")
            return value
        assert token is not None
        if token[0] == '"':
            return token[1:-1]
        if token[0].isdigit():
            return float(token)
        if self._next("("):
            return self._function(token)
        return None if self._idle else self._names[token]

    def _function(self, name: str) -> Any:
        if name == "IF":
            return self._if()
        arguments = [self._comparison()]
        while self._next(","):
            arguments.append(self._comparison())
        self._next(")")
        return None if self._idle else _FUNCTIONS[name](*arguments)

    def _if(self) -> Any:
        test, values = self._comparison(), []
        for wanted in (True, False):
            self._next(",")
            self._idle += bool(test) is not wanted
            values.append(self._comparison())
            self._idle -= bool(test) is not wanted
        self._next(")")
        return values[0] if test else values[1]


def _round_up(value: float, digits: float) -> float:
    return math.ceil(value * 10**digits) / 10**digits


def _count(*values: Any) -> int:
    return sum(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "COUNT": _count,
    "INT": lambda value: math.floor(value or 0),
    "MAX": max,
    "MIN": min,
    "ROUND": lambda value, digits: round(value or 0, int(digits)),
    "ROUNDUP": lambda value, digits: _round_up(value or 0, int(digits)),
}
