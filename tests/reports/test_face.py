"""The report as a face: whoever reads it, on whatever, of whatever version its warehouse is."""

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from reports.page import render, write_report
from tests.history import History, Planted, land
from tests.reports.conftest import Opened, Scheme, opened
from tests.reports.houses import empty_home, ladder, measured_home, publish
from tests.transforms.factory import DEMAND, OWN_PLAN, Given
from warehouse.ask import ask
from warehouse.build import build
from warehouse.home import Home


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """30 nights of two endpoints: 20 % slower from the 22nd on, with another engine; dearer from the 12th; 3 are missing."""
    home = Home(tmp_path_factory.mktemp("nights"))
    planted = Planted(
        steps={21: 1.2}, engine_version={21: "1.1"}, rent={11: 2.4}, gaps=frozenset({5, 6, 7}), failed=frozenset({15})
    )
    land(home, History(nights=30, endpoints=2, planted=planted))
    build(home)
    write_report(home)
    return home


def data(home: Home) -> dict[str, Any]:
    """What the page's scripts draw and compute from."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', render(home), re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def serious(page: Page) -> list[tuple[str, str]]:
    """What axe-core finds that is serious or critical: rule and element."""
    violations = Axe().run(page).response["violations"]
    return [
        (v["id"], node["html"][:200])
        for v in violations
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_axe_finds_nothing_serious(browser: Browser, nights: Home, scheme: Scheme, width: int) -> None:
    page = opened(browser, nights.report, scheme=scheme, width=width).page
    assert serious(page) == []


def test_nothing_serious_where_there_is_nothing(browser: Browser, tmp_path: Path) -> None:
    assert serious(opened(browser, write_report(empty_home(tmp_path))).page) == []


def test_the_calculator_works_from_the_keyboard_and_says_its_answer(browser: Browser, measured: Home) -> None:
    page = opened(browser, measured.report).page
    form = page.locator("#calculator-form")
    assert form.locator("[aria-live=polite]").inner_text().startswith("Run at concurrency 8: 1 server (4 GPUs)")
    form.get_by_label("Peak rate", exact=True).focus()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type("950")
    # at 10 % headroom and a spare: ten times the load, and the same point
    [fleet] = ask(
        measured,
        "select fleet.* from best_operating_points, size_fleet(950, request_rps, 1, 8, headroom := 0.1, spares := 1) as fleet"
        " where slo = 'interactive' order by night desc limit 1",
    ).objects()
    assert form.locator("[data-out=instances]").inner_text() == str(fleet["instances"])
    assert f"{fleet['servers']} servers" in form.locator("[aria-live=polite]").inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # on the slider
    assert float(form.get_by_label("Peak rate", exact=True).input_value()) > 950


def test_utilisation_and_mean_rate_say_the_same(browser: Browser, measured: Home) -> None:
    form = opened(browser, measured.report).page.locator("#calculator-form")
    [row] = ask(
        measured,
        "select instances * rps_per_instance as carried, peak_rps from server_counts where demand = 'assistant' "
        "order by night desc limit 1",
    ).objects()
    form.get_by_label("Utilisation at the mean", exact=True).fill("25")
    served = float(form.locator("[data-out='demand.served_rps'] data").get_attribute("value") or 0)
    assert served == pytest.approx(0.25 * row["carried"])
    assert form.locator("[name=mean_rps]").input_value() == f"{0.25 * row['carried']:.4g}"
    form.get_by_label("or mean rate").fill("50")
    assert form.locator("[name=use]").input_value() == f"{100 * 50 / row['carried']:.4g}"
    form.get_by_label("Utilisation at the mean", exact=True).fill("100")  # more than the peak
    assert "A mean cannot be above the peak" in form.inner_text()
    assert float(form.locator("[data-out='demand.served_rps'] data").get_attribute("value") or 0) == pytest.approx(95)


def test_a_figure_out_of_range_is_no_answer(browser: Browser, measured: Home) -> None:
    form = opened(browser, measured.report).page.locator("#calculator-form")
    form.get_by_label("Peak rate", exact=True).fill("-3")
    assert form.locator("[aria-live=polite]").inner_text() == "A figure is missing or out of its range."
    assert form.locator("[data-out=servers]").inner_text() == "–"
    form.get_by_label("Peak rate", exact=True).fill("95")
    assert form.locator("[data-out=servers]").inner_text() != "–"


def test_it_prints(browser: Browser, nights: Home) -> None:
    page = opened(browser, nights.report).page
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("#figure-trend .chart svg").is_visible()
    page.set_viewport_size({"width": 720, "height": 1000})  # A4 less its margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 720


def test_the_ledgers_table_is_sqls_and_its_buckets_add_up(browser: Browser, measured: Home) -> None:
    page = opened(browser, measured.report).page
    figure = page.locator("#figure-ledger")
    figure.locator("[data-pick=demand]").select_option("assistant")
    figure.locator("details").evaluate("details => details.open = true")
    shown = [
        [float(value) for value in row.locator("data").evaluate_all("cells => cells.map(cell => cell.value)")]
        for row in figure.locator("tbody tr").all()
    ]
    years = ask(
        measured,
        "select distinct price_plan, fleet_year_usd from cost_ledger where demand = 'assistant' "
        "and night = (select max(night) from runs) order by fleet_year_usd",
    ).rows
    assert [row[-1] for row in shown] == [round(year, 2) for _, year in years]
    for row in shown:
        assert sum(row[:-1]) == pytest.approx(row[-1], abs=1e-6)
    # a bar for each bucket that is not 0, and nothing else
    assert figure.locator(".mark-rect path").count() == sum(usd > 0 for row in shown for usd in row[:-1])


def test_cost_against_interactivity_is_sqls(browser: Browser, measured: Home) -> None:
    page = opened(browser, measured.report).page
    expected = ask(
        measured,
        "select price_plan, limit_value, usd_per_mtok from cost_by_slo_limit where latency_metric = 'interactivity' "
        "and statistic = 'p50' and operating_point_id = cheapest_point_id and night = (select max(night) from runs) "
        "order by price_plan, limit_value",
    ).rows
    drawn = [(s["plan"], x, y) for s in data(measured)["interactivity"] for x, y, _ in s["points"]]
    assert drawn == [(plan, float(f"{x:.4g}"), float(f"{y:.4g}")) for plan, x, y in expected]
    assert page.locator("#figure-interactivity .mark-symbol path").count() == len(expected)


def test_a_trend_has_gaps_where_nights_are_missing_and_marks_what_moved(browser: Browser, nights: Home) -> None:
    [first, *_] = [s for s in data(nights)["trends"]["series"] if s["endpoint"] == "e0"]
    known = [value is not None for value in first["values"]]
    # 30 nights, 3 of them missing: one empty point in their place; the failed one is empty as well
    assert (len(known), known.count(False)) == (28, 2)
    assert known[5] is known[13] is False
    kinds = [mark["kind"] for mark in first["marks"]]
    assert kinds == ["price", "regression"]
    # $2.4 after $2: a fifth more
    assert first["marks"][0]["text"] == "prices changed: +20 %"
    assert "changed then: engine_version: 1.0 -> 1.1" in first["marks"][1]["text"]
    page = opened(browser, nights.report).page
    assert page.locator("#figure-trend .marks li").all_inner_texts() == [
        f"2026-01-12: {first['marks'][0]['text']}",
        next(text for text in page.locator("#figure-trend .marks li").all_inner_texts() if "GPU time" in text),
    ]
    # the line is drawn in pieces
    path = page.locator("#figure-trend .mark-line path").get_attribute("d") or ""
    assert path.count("M") == 3
    assert "worse since" in page.locator("#last-night .moved").first.inner_text()


def test_old_nights_are_a_weeks_median(tmp_path: Path) -> None:
    home = Home(tmp_path)
    land(home, History(nights=3, noise=0.1))
    build(home)
    with duckdb.connect(str(home.warehouse)) as con:  # the first two nights, in one week of long ago
        con.execute("update curated.cost_trends set night = night - interval 168 days where night < '2026-01-03'")
        costs = con.execute(
            "select value_usd from curated.cost_trends where cost_basis = 'capacity' and allocation_method = 'price_ratio' "
            "and price_plan = 'rent' order by night"
        ).fetchall()
    found = data(home)["trends"]
    assert found["weekly_until"] == "2025-09-05"  # 120 nights before the 3rd of January
    mean = (costs[0][0] + costs[1][0]) / 2
    values = [value for value in found["series"][0]["values"] if value is not None]
    assert values == pytest.approx([mean, costs[2][0]], rel=1e-3)


def test_a_warehouse_of_an_older_version_is_shown_as_far_as_it_goes(browser: Browser, tmp_path: Path) -> None:
    home = measured_home(tmp_path)
    with duckdb.connect(str(home.warehouse)) as con:
        for table in ("cost_ledger", "cost_trends", "regressions", "price_terms", "savings", "fleet_mixes"):
            con.execute(f"drop table curated.{table}")
        con.execute("alter table curated.operating_points drop column kv_cache_usage_max")
        con.execute("alter table curated.runs drop column retracted_at")
    seen = opened(browser, write_report(home))
    assert seen.complaints == []
    lacking = seen.page.locator("section.notice").inner_text()
    for name in (
        "cost_ledger",
        "cost_trends",
        "price_terms",
        "operating_points (kv_cache_usage_max)",
        "runs (retracted_at)",
    ):
        assert name in lacking
    assert seen.page.locator("#ledger").count() == 0
    assert seen.page.locator("#figure-trend").count() == 0
    said = seen.page.locator("#calculator-form [aria-live=polite]").inner_text()
    assert "No price plan of that night pays for this hardware" in said


LONG = "a-very-long-name-" * 12 + "🚀"


def test_very_long_names_stay_inside(browser: Browser, tmp_path: Path) -> None:
    def fill(given: Given) -> None:
        ladder(given, "run", endpoint=LONG, workload=LONG, model=LONG, concurrencies=(1, 4))
        given.slo(("ttft", "p50", 500.0), slo=LONG)
        given.rows["demands"].append(DEMAND | {"demand": LONG, "workload": LONG, "slo": LONG})
        given.rows["price_plans"].append(OWN_PLAN | {"price_plan": LONG})

    report = write_report(publish(Home(tmp_path), fill))
    for width in (390, 1280):
        seen: Opened = opened(browser, report, width=width)
        assert seen.complaints == []
        assert seen.page.evaluate("document.documentElement.scrollWidth") == width


def test_many_endpoints_are_folded_and_drawn_when_they_are_opened(browser: Browser, tmp_path: Path) -> None:
    def fill(given: Given) -> None:
        for number in range(4):
            ladder(given, f"run-{number}", endpoint=f"endpoint-{number}", concurrencies=(1, 4))
        given.slo(("ttft", "p50", 500.0)).demand().plan()

    page = opened(browser, write_report(publish(Home(tmp_path), fill))).page
    second = page.locator("details.endpoint").nth(1)
    assert not second.locator(".curve").first.is_visible()
    assert "1 of 1 SLOs held" in second.locator("summary").first.inner_text()
    second.locator("summary").first.click()
    second.locator(".curve svg").first.wait_for()
    assert page.locator(".curve svg").count() == 1


NUMBERS = [0.0, 0.028606940321357455, 1.0, 9.9996, 12.5, 95.0, 999.94, 1234.5678, 262_500.0, 1.6e9, 3e-7, -4.2, None]


def test_the_scripts_write_numbers_as_python_does(browser: Browser) -> None:
    from reports import numbers
    from reports.page import resource

    page = browser.new_page()
    ours = page.evaluate(
        f"""(values) => {{ {resource("scripts", "numbers.js")}
        return values.map((value) => [number(value), number(value, 2), percent(value), money(value, "USD"), money(value, "CHF"), cents(value, "EUR")]) }}""",
        NUMBERS,
    )
    assert ours == [
        [numbers.number(v), numbers.number(v, 2), numbers.percent(v), numbers.money(v, "USD"), numbers.money(v, "CHF"),
         numbers.cents(v, "EUR")]
        for v in NUMBERS
    ]  # fmt: skip
