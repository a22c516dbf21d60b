"""The calculator on the page says what SQL says, for any demand: the tables of the build, run over the same point."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from reports.page import write_report
from tests.reports.conftest import opened
from tests.reports.houses import KINDS, kinds_home, measured_home
from warehouse import scenarios
from warehouse.ask import ask
from warehouse.home import Home
from warehouse.size import size
from warehouse.sizing import Question

Row = dict[str, Any]


CASES = {kind: (kind, "offline") for kind in KINDS} | {"missing the SLO": ("llama-8b-h200", "interactive")}
"""Endpoints and SLOs: every kind of endpoint under every kind of plan, and one where some requests miss the SLO."""
# 100 with 10 % headroom at 10 rps is where a bare ceiling of doubles would add an instance
PEAKS, HEADROOMS, SPARES = (0.7, 95.0, 100.0, 12_345.6), (0, 10, 37), (0, 2)
MEANS, UPTIMES_AND_BUDGETS = (None, 0.4, 1.0), ((100, None), (97, 5), (99, 0))
GRID = [
    {"peak_rps": peak, "headroom": headroom, "spares": spares, "mean_rps": mean and mean * peak, "uptime": uptime,
     "max_instances": budget}
    for number, (peak, headroom, spares, mean, (uptime, budget)) in enumerate(
        product(PEAKS, HEADROOMS, SPARES, MEANS, UPTIMES_AND_BUDGETS))
    if number % 7 == 0
]  # fmt: skip
"""A seventh of all combinations (7 divides no length above); shares in percent, as the form has them."""

ASK = """
([demands, plans]) => {
  const form = document.getElementById("calculator-form");
  const set = (name, value) => { form.elements.namedItem(name).value = value === null ? "" : String(value) };
  const read = () => {
    const found = {}, value = (place) => { const d = place.querySelector("data"); return d ? Number(d.value) : null };
    for (const place of form.querySelectorAll("[data-out]")) found[place.dataset.out] = value(place);
    for (const row of form.querySelectorAll("[data-bucket]")) {
      found[`bucket.${row.dataset.bucket}`] = value(row.cells[1]);
      found[`shown.${row.dataset.bucket}`] = row.cells[1].innerText;
    }
    return found;
  };
  const answers = [];
  for (const plan of plans) {
    set("plan", plan);
    form.elements.namedItem("plan").dispatchEvent(new Event("input", {bubbles: true}));
    for (const method of [...form.elements.namedItem("method").options].map((option) => option.value)) {
      set("method", method);
      demands.forEach((demand, number) => {
        for (const [name, value] of Object.entries(demand)) set(name, value);
        form.elements.namedItem("mean_rps").dispatchEvent(new Event("input", {bubbles: true}));
        answers.push([plan, method, number, read()]);
      });
    }
  }
  return answers;
}
"""


@pytest.fixture(scope="module")
def pages(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> dict[Callable[[Path], Home], tuple[Home, Page]]:
    homes = {make: make(tmp_path_factory.mktemp("calculator")) for make in (kinds_home, measured_home)}
    return {make: (home, opened(browser, write_report(home)).page) for make, home in homes.items()}


@pytest.fixture(params=list(CASES))
def asked(request: pytest.FixtureRequest, pages: dict[Callable[[Path], Home], tuple[Home, Page]]) -> "Asked":
    endpoint, slo = CASES[request.param]
    home, page = pages[kinds_home if endpoint in KINDS else measured_home]
    page.locator("[name=measured]").select_option(index=by_name(page).index(endpoint))
    page.locator("[name=slo]").select_option(slo)
    return Asked(endpoint, slo, home, page)


def by_name(page: Page) -> list[str]:
    return [text.split(" × ")[0] for text in page.locator("[name=measured] option").all_inner_texts()]


@dataclass(frozen=True)
class Asked:
    """A case in the browser."""

    endpoint: str
    slo: str
    home: Home
    page: Page


def test_every_figure_is_sqls_over_a_grid_of_demands(asked: Asked) -> None:
    sql = by_sql(asked, GRID)
    plans = sorted({row["price_plan"] for row in sql["cost_per_million_tokens"][scenario(0)]})
    answers = asked.page.evaluate(ASK, [GRID, plans])
    differing = []
    for plan, method, number, found in answers:
        expected = {**fleet(sql, plan, number), **costs(sql, plan, method, number), **ledger(sql, plan, method, number)}
        differing += [
            (plan, method, GRID[number], name, found[name], value)
            for name, value in expected.items()
            if not same(found[name], value)
        ]
    assert len(answers) >= len(GRID) * len(plans)
    assert differing[:3] == []


def by_sql(asked: Asked, demands: list[Row]) -> dict[str, dict[str, list[Row]]]:
    """Rows of the warehouse's tables by table and scenario: its SQL over the same point, all demands at once."""
    sizing = size(asked.home, Question(asked.endpoint, asked.slo, {"peak_rps": 1.0}), what_ifs=False)
    assert sizing.inputs is not None
    runs = ask(asked.home, f"from runs where {last_night(asked)}").objects()
    inputs = sizing.inputs
    changed = {
        scenario(number): replace(inputs, demand=inputs.demand | as_catalog(demand))
        for number, demand in enumerate(demands)
    }
    return scenarios.run(sizing.best, runs, changed)


def last_night(asked: Asked) -> str:
    return f"endpoint = '{asked.endpoint}' and night = (select max(night) from runs)"


def scenario(number: int) -> str:
    return f"demand {number}"


def as_catalog(demand: Row) -> Row:
    shares = {name: demand[name] / 100 for name in ("headroom", "uptime")}
    return demand | shares | {"mean_source": None if demand["mean_rps"] is None else "rates"}


def fleet(sql: Any, plan: str, number: int) -> Row:
    [row] = sql["server_counts"][scenario(number)]
    names = ("servers", "instances", "gpus", "stranded_gpus", "utilisation", "utilisation_at_mean")
    is_api = any(
        r["price_plan"] == plan and r["price_kind"] == "api" for r in sql["cost_per_million_tokens"][scenario(number)]
    )
    return {name: None if is_api else row[name] for name in names}


def costs(sql: Any, plan: str, method: str, number: int) -> Row:
    rows = {
        row["cost_basis"]: row
        for row in sql["cost_per_million_tokens"][scenario(number)]
        if (row["price_plan"], row["allocation_method"]) == (plan, method)
    }
    assert sorted(rows) == ["capacity", "demand", "slo"]
    names = (
        "served_rps", "usd_per_1k_prompts", "usd_per_mtok", "usd_per_mtok_lo", "usd_per_mtok_hi", "usd_per_mtok_input",
        "usd_per_mtok_cached_input", "usd_per_mtok_output",
    )  # fmt: skip
    found = {f"{basis}.{name}": row[name] for basis, row in rows.items() for name in names}
    return found | {"fleet_year_usd": rows["capacity"]["fleet_year_usd"]}


def ledger(sql: Any, plan: str, method: str, number: int) -> Row:
    rows = [
        row
        for row in sql["cost_ledger"].get(scenario(number), [])
        if (row["price_plan"], row["allocation_method"]) == (plan, method)
    ]
    if not rows:
        return {"ledger_year": None, "bucket.output": None, "bucket.idle": None}
    sign = {"USD": "$"}.get(rows[0]["currency"], f"{rows[0]['currency']} ")
    amounts = {f"bucket.{row['bucket']}": row["usd"] for row in rows}
    shown = {f"shown.{row['bucket']}": cents(row["usd_shown"], sign) for row in rows}
    return amounts | shown | {"ledger_year": rows[0]["fleet_year_usd"], "ledger_served_rps": rows[0]["served_rps"]}


def cents(usd: float | None, sign: str) -> str:
    return "–" if usd is None else f"{sign}{usd:,.2f}"


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, str) or expected is None or found is None:
        return bool(found == expected)
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12)


def test_another_slo_chooses_the_point_that_sql_chose(asked: Asked) -> None:
    form = asked.page.locator("#calculator-form")
    rows = ask(asked.home, f"from best_operating_points where {last_night(asked)}").objects()
    assert len(rows) >= 2
    for row in rows:
        form.locator("[name=slo]").select_option(row["slo"])
        assert form.get_attribute("data-point") == (row["operating_point_id"] or "")
        if row["status"] != "chosen":
            assert "no valid point meets it" in form.locator("[data-out=said]").inner_text()
            assert form.locator("[data-out=servers]").first.inner_text() == "–"
