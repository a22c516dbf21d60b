"""Formulas of a cell: how names become cells, what unknown figures do, and what a formula is worth."""

from typing import Any

import pytest

from reports.workbook.calculation import same
from reports.workbook.evaluate import evaluate
from reports.workbook.formulas import ceiling, spell
from reports.workbook.grid import address


def test_a_formula_over_an_unknown_says_so() -> None:
    formula = spell("peak_rps / rps_per_instance")
    assert formula == '=IF(COUNT(peak_rps,rps_per_instance)<2,"n/a",peak_rps/rps_per_instance)'
    assert evaluate(formula, {"peak_rps": 95, "rps_per_instance": None}) == "n/a"
    assert evaluate(formula, {"peak_rps": 95, "rps_per_instance": "n/a"}) == "n/a"
    assert evaluate(formula, {"peak_rps": 95, "rps_per_instance": 10}) == 9.5


def test_names_of_plans_and_ends_get_their_number_and_ending() -> None:
    formula = spell("units@ * unit_year * uptime", plan=3, of_plans={"units_at_lo", "unit_year"}, end="_at_lo")
    assert formula.endswith(",units_at_lo_3*unit_year_3*uptime)")


def test_text_and_what_may_be_empty_is_not_asked_for() -> None:
    formula = spell('IF(basis="per_gpu", k, 1) * usd', optional=("basis",))
    assert formula == '=IF(COUNT(k,usd)<2,"n/a",IF(basis="per_gpu",k,1)*usd)'
    assert spell("1") == "=1"


def test_a_ceiling_rounds_first() -> None:
    # 100 * (1 + 0.1) / 10 is 11.000000000000002 in doubles
    assert evaluate(f"={ceiling('peak*(1+headroom)/rate')}", {"peak": 100, "headroom": 0.1, "rate": 10}) == 11
    assert evaluate(f"={ceiling('9.5')}", {}) == 10


@pytest.mark.parametrize(
    ("formula", "worth"),
    [
        ("=1+2*3-4/2", 5),
        ("=-(1+2)*2", -6),
        ('=IF(a="yes",1/0,2)', 2),  # what is not taken is not calculated
        ('=IF(1<2,IF(3>=4,"x","y"),"z")', "y"),
        ("=MIN(1E+15,7)+MAX(0,3-5)+INT(8/3)", 9),
        ("=COUNT(a,b,c)", 1),
        ("=b+1", 1),  # what is empty counts for 0, as in a spreadsheet
        ("=ROUNDUP(2.000000001,0)", 3),
        ("=1-1E-9<1", True),
    ],
)
def test_what_a_formula_is_worth(formula: str, worth: Any) -> None:
    assert evaluate(formula, {"a": "no", "b": None, "c": 4.5}) == worth


@pytest.mark.parametrize("formula", ["=1/0", '=1+"x"', "=a*2", "=1 2"])
def test_what_a_spreadsheet_shows_an_error_for_is_one(formula: str) -> None:
    with pytest.raises(ValueError, match=r"DIV|no number|not expected"):
        evaluate(formula, {"a": "n/a"})


def test_a_cell_shows_what_sql_says() -> None:
    assert [same("n/a", None), same(1.0, 1 + 1e-12), same("never", "never")] == [True] * 3
    assert [same(0.0, None), same("n/a", 0), same(1.0, 1.001)] == [False] * 3


def test_columns_have_letters() -> None:
    assert [address(0, 0), address(7, 2), address(9, 26), address(0, 701)] == ["$A$1", "$C$8", "$AA$10", "$ZZ$1"]
