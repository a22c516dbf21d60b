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
from tests.reports.houses import KINDS, TRACED, kinds_home, measured_home
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

FORM = """
  const form = document.getElementById("calculator-form");
  const choose = (name, value) => {
    form.elements.namedItem(name).value = value;
    form.elements.namedItem(name).dispatchEvent(new Event("input", {bubbles: true}));
  };
  const methods = () => [...form.elements.namedItem("method").options].map((option) => option.value);
  const set = (name, value) => { form.elements.namedItem(name).value = value === null ? "" : String(value) };
  const read = () => {
    const found = {}, value = (place) => { const d = place.querySelector("data"); return d ? Number(d.value) : null };
    for (const place of form.querySelectorAll("[data-out]")) found[place.dataset.out] = value(place);
    for (const row of form.querySelectorAll("[data-bucket]")) {
      found[`bucket.${row.dataset.bucket}`] = value(row.cells[1]);
      found[`shown.${row.dataset.bucket}`] = row.cells[1].textContent; // innerText would lay the page out anew
    }
    return found;
  };
  const answers = [];
"""
"""What scripts read and set in the form with."""

ASK = """
  for (const plan of plans) {
    choose("plan", plan);
    for (const method of methods()) {
      set("method", method);
      demands.forEach((demand, number) => {
        for (const [name, value] of Object.entries(demand)) set(name, value);
        form.elements.namedItem("mean_rps").dispatchEvent(new Event("input", {bubbles: true}));
        answers.push([plan, method, number, read()]);
      });
    }
  }
  return answers;
"""

START = """
  for (const demand of demands) for (const plan of plans) {
    choose("plan", plan);
    for (const method of methods()) {
      choose("method", method);
      choose("start", demand);
      answers.push([demand, plan, method, read()]);
    }
  }
  return answers;
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


def answers_of(asked: Asked, script: str, demands: list[Any], plans: list[str]) -> Any:
    return asked.page.evaluate(f"([demands, plans]) => {{{FORM}{script}}}", [demands, plans])


def test_every_figure_is_sqls_over_a_grid_of_demands(asked: Asked) -> None:
    sql = by_sql(asked, GRID)
    plans = sorted({row["price_plan"] for row in sql["cost_per_million_tokens"][scenario(0)]})
    answers = answers_of(asked, ASK, GRID, plans)
    differing = []
    for plan, method, number, found in answers:
        differing += [
            (plan, method, GRID[number], name, found[name], value)
            for name, value in expected(sql, plan, method, scenario(number)).items()
            if not same(found[name], value)
        ]
    assert len(answers) >= len(GRID) * len(plans)
    assert differing[:3] == []


@pytest.mark.parametrize("asked", ["plain", "rich", "troubled", "prefill"], indirect=True)
def test_a_recorded_demand_costs_what_the_build_says(asked: Asked) -> None:
    sql = built(asked)
    plans = sorted({row["price_plan"] for rows in sql["cost_per_million_tokens"].values() for row in rows})
    answers = answers_of(asked, START, list(TRACED), plans)
    differing = [
        (demand, plan, method, name, found[name], value)
        for demand, plan, method, found in answers
        for name, value in expected(sql, plan, method, demand).items()
        if not same(found[name], value)
    ]
    assert len(answers) >= len(TRACED) * len(plans)
    assert differing[:3] == []


def test_a_recorded_demand_is_served_bin_by_bin_until_its_peak_is_moved(
    pages: dict[Callable[[Path], Home], tuple[Home, Page]],
) -> None:
    page = pages[kinds_home][1]
    form = page.locator("#calculator-form")
    form.locator("[name=measured]").select_option(index=by_name(page).index("plain"))
    form.locator("[name=plan]").select_option("own")
    form.locator("[name=start]").select_option("tight")

    def served() -> float:
        return float(form.locator("[data-out='demand.served_rps'] data").get_attribute("value") or "nan")

    # 5 instances in two servers of 4: 8 x 10 x 0.97 = 77.6 carry the 20 and the 60, and cut the 95
    assert served() == pytest.approx(20 / 2 + 60 / 3 + 77.6 / 6)
    assert "follow the demand's recorded trace" in form.locator("[data-out=remarks]").inner_text()
    form.locator("[name=uptime]").fill("50")
    # 40 of 80: the trace holds though the demand is the reader's own now
    assert served() == pytest.approx(20 / 2 + 40 / 3 + 40 / 6)
    form.locator("[name=peak_rps]").fill("96")
    # a mean of 20 / 2 + 60 / 3 + 95 / 6 = 45.83, steady: cut to 40
    assert served() == pytest.approx(40)
    assert "left aside" in form.locator("[data-out=remarks]").inner_text()
    form.locator("[name=peak_rps]").fill("95")
    assert served() == pytest.approx(20 / 2 + 40 / 3 + 40 / 6)


def test_a_recorded_demand_of_more_rates_than_the_page_carries_is_served_alike_and_says_so(
    pages: dict[Callable[[Path], Home], tuple[Home, Page]],
) -> None:
    home, page = pages[kinds_home]
    form = page.locator("#calculator-form")
    form.locator("[name=measured]").select_option(index=by_name(page).index("plain"))
    form.locator("[name=plan]").select_option("own")
    form.locator("[name=start]").select_option("fine")
    [(served,)] = ask(
        home,
        "select served_rps from cost_per_million_tokens where endpoint = 'plain' and demand = 'fine' and price_plan = 'own' "
        "and cost_basis = 'demand' and allocation_method = 'price_ratio'",
    ).rows
    # of 2,500 rates 77.6 requests/s cut those above: the mean of min(rate, 77.6), by the integral of 95 x^2 up to there
    cut = (77.6 / 95) ** 0.5
    assert served == pytest.approx(95 * cut**3 / 3 + 77.6 * (1 - cut), rel=1e-3)
    shown = float(form.locator("[data-out='demand.served_rps'] data").get_attribute("value") or "nan")
    assert shown != served
    assert shown == pytest.approx(served, abs=95 / 1000**2)
    assert "Its 2,500 rates are joined to" in form.locator("[data-out=remarks]").inner_text()
    assert "at most 0.0001 % of the peak" in form.locator("[data-out=remarks]").inner_text()


def built(asked: Asked) -> dict[str, dict[str, list[Row]]]:
    """Rows of the published tables by table and demand."""
    tables = ("server_counts", "cost_per_million_tokens", "cost_ledger")
    found: dict[str, dict[str, list[Row]]] = {table: {} for table in tables}
    for table in tables:
        for row in ask(asked.home, f"from {table} where {last_night(asked)} and slo = '{asked.slo}'").objects():
            found[table].setdefault(row["demand"], []).append(row)
    return found


def expected(sql: Any, plan: str, method: str, demand: str) -> Row:
    return {**fleet(sql, plan, demand), **costs(sql, plan, method, demand), **ledger(sql, plan, method, demand)}


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


def fleet(sql: Any, plan: str, name: str) -> Row:
    [row] = sql["server_counts"][name]
    names = ("servers", "instances", "gpus", "stranded_gpus", "utilisation", "utilisation_at_mean")
    is_api = any(r["price_plan"] == plan and r["price_kind"] == "api" for r in sql["cost_per_million_tokens"][name])
    return {column: None if is_api else row[column] for column in names}


def costs(sql: Any, plan: str, method: str, name: str) -> Row:
    rows = {
        row["cost_basis"]: row
        for row in sql["cost_per_million_tokens"][name]
        if (row["price_plan"], row["allocation_method"]) == (plan, method)
    }
    assert sorted(rows) == ["capacity", "demand", "slo"]
    names = (
        "served_rps", "usd_per_1k_prompts", "usd_per_mtok", "usd_per_mtok_lo", "usd_per_mtok_hi", "usd_per_mtok_input",
        "usd_per_mtok_cached_input", "usd_per_mtok_output",
    )  # fmt: skip
    found = {f"{basis}.{column}": row[column] for basis, row in rows.items() for column in names}
    return found | {"fleet_year_usd": rows["capacity"]["fleet_year_usd"]}


def ledger(sql: Any, plan: str, method: str, name: str) -> Row:
    rows = [
        row
        for row in sql["cost_ledger"].get(name, [])
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
