"""The report's key tables as rows for Prefect."""

from pathlib import Path

import pytest

from reports.artifacts import key_tables
from tests.reports.houses import empty_home, measured_home
from warehouse.ask import ask


def test_they_are_rate_card_ledger_and_regressions_with_the_warehouses_figures(tmp_path: Path) -> None:
    home = measured_home(tmp_path)
    card, ledger, moved = key_tables(home, ["tuesday"])
    assert [table.key for table in (card, ledger, moved)] == ["rate-card", "ledger", "moved"]
    assert len(card.rows) == 9  # three demands, three plans
    # own by two methods, rent by two, an API by one; three demands, but an API without a mean has no year: at the peak
    kinds = ask(
        home, "select count(distinct (demand, price_plan, allocation_method)) from cost_ledger where run_id = 'tuesday'"
    )
    assert [(len(ledger.rows),)] == kinds.rows
    for row in ledger.rows:
        buckets = [
            row[name]
            for name in (
                "stranded",
                "spare",
                "headroom",
                "idle",
                "failed",
                "slo_missed",
                "input",
                "cached_input",
                "output",
                "unallocated",
            )
        ]
        assert sum(usd or 0 for usd in buckets) == pytest.approx(round(row["fleet_year_usd"], 2), abs=1e-6)
    assert (moved.rows, moved.description) == ([], "What moved the costs of tuesday: none")


def test_without_a_run_they_are_empty(tmp_path: Path) -> None:
    assert [table.rows for table in key_tables(empty_home(tmp_path), ["run"])] == [[], [], []]
