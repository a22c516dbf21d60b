"""Numbers as the page writes them."""

import math

import pytest

from reports.numbers import interval, money, money_interval, number, percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (math.nan, "–"), (math.inf, "∞"), (0, "0"), (3, "3"), (0.0346826, "0.03468"), (12.50, "12.5"),
        (2685.31, "2,685"), (262_540, "262,500"), (-1.5, "-1.5"), (0.000012344, "0.00001234"), (99_999.0, "100,000"),
    ],
)  # fmt: skip
def test_a_number_has_four_significant_figures(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        (0.0693652, "USD", "$0.06937"), (0.00123, "USD", "$0.00123"), (262_500, "USD", "$262,500"),
        (2.5, "EUR", "€2.50"),
        (0.1, "USD", "$0.10"), (12, "CHF", "CHF 12.00"), (-4.25, "USD", "−$4.25"), (None, "USD", "–"), (0, "USD", "$0"),
        (math.inf, "USD", "∞"),
    ],
)  # fmt: skip
def test_money_has_its_currency_and_no_lonely_decimal(value: float | None, currency: str, text: str) -> None:
    assert money(value, currency) == text


def test_shares_are_percentages() -> None:
    assert [percent(share) for share in (0.52511, 1, 0, 0.0004, None)] == ["52.5 %", "100 %", "0 %", "0.04 %", "–"]


def test_an_interval_needs_both_ends() -> None:
    assert interval(5.6061, 7.8622) == "5.61–7.86"
    assert interval(None, 7.8) == ""
    assert money_interval(0.0876, 0.0991, "USD") == "$0.0876–$0.0991"
    assert money_interval(0.0876, None, "USD") == ""
