"""The report in a headless browser: it opens in silence, draws, and says what SQL says."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page

from reports.page import write_report
from schemas.errors import LandingError, WarehouseError
from tests.reports.conftest import Scheme, opened
from tests.reports.houses import (
    HOSTILE,
    bare_home,
    empty_home,
    hostile_home,
    ladder,
    one_point_home,
    publish,
    rates_home,
    uncounted_home,
    unmeasured_home,
)
from tests.transforms.factory import Given
from warehouse.ask import ask
from warehouse.home import Home

CARD_COLUMNS = (
    "servers", "gpus", "utilisation", "fleet_year_usd", "usd_per_1k_prompts", "usd_per_mtok", "usd_per_mtok_input",
    "usd_per_mtok_output",
)  # fmt: skip
FLEET_COLUMNS = ("servers", "gpus", "utilisation")  # an API has none


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = rates_home(tmp_path_factory.mktemp("rates"))
    write_report(home)
    return home


def table(page: Page, caption: str) -> Locator:
    """The table whose caption begins so."""
    return page.locator("table", has=page.locator("caption", has_text=re.compile(f"^{caption}")))


def test_it_opens_without_a_request_or_a_word_in_the_console(browser: Browser, measured: Home) -> None:
    seen = opened(browser, measured.report)
    assert seen.requests == [measured.report.as_uri()]
    assert seen.complaints == []
    assert measured.report.stat().st_size < 1_200_000


def test_every_chart_shows_every_level_the_limit_and_the_chosen_points(browser: Browser, measured: Home) -> None:
    page = opened(browser, measured.report).page
    # one for each bound: TTFT and TPOT at p90, for 90 % of the requests must be within them; TTFT p50 as stated
    assert page.locator("details.endpoint figcaption").all_inner_texts() == [
        "Output tokens/s per GPU against TTFT p90",
        "Output tokens/s per GPU against TPOT p90",
        "Output tokens/s per GPU against TTFT p50",
    ]
    for chart, limit in zip(page.locator(".curve").all(), ("500 ms", "40 ms", "60 ms"), strict=True):
        texts = chart.locator(".mark-text text").all_text_contents()
        assert any(text.endswith(f"≤ {limit}") for text in texts)
        # points too near each other share a label
        assert {"c=1", "c=2", "c=4", "c=8", "c=16", "c=32"} <= set(", ".join(texts).split(", "))
        # 6 levels and a ring around each of the chosen ones, 1 and 8
        assert chart.locator(".mark-symbol path").count() == 6 + 2


def test_the_knee_is_marked(browser: Browser, measured: Home) -> None:
    loads = table(opened(browser, measured.report).page, "Load levels").locator("tbody th").all_inner_texts()
    assert loads == ["c=1", "c=2", "c=4", "c=8\nknee", "c=16", "c=32"]


def test_a_point_tells_its_figures_when_it_is_pointed_at(browser: Browser, measured: Home) -> None:
    page = opened(browser, measured.report).page
    page.locator(".curve").first.locator(".mark-symbol path[fill='var(--accent)']").last.hover()
    tip = page.locator("#vg-tooltip-element")
    tip.wait_for()
    assert "concurrency 8" in tip.inner_text()
    assert "on the frontier; chosen for interactive, offline" in tip.inner_text()
    assert "undefined" not in tip.inner_text()


def test_the_rate_card_is_what_sql_says(browser: Browser, measured: Home) -> None:
    page = opened(browser, measured.report).page
    expected = ask(
        measured,
        f"""
        select {", ".join(f"case when price_kind <> 'api' then {c} end" if c in FLEET_COLUMNS else c for c in CARD_COLUMNS)}
        from server_counts join cost_per_million_tokens using (fleet_id, night)
        where night = (select max(night) from runs)
            and cost_basis = 'capacity' and allocation_method = 'price_ratio'
        order by server_counts.demand, usd_per_1k_prompts, price_plan
        """,
    )
    shown = {
        column: page.eval_on_selector_all(
            f"[data-column={column}]",
            "cells => cells.map(cell => { const d = cell.querySelector('data'); return d ? Number(d.value) : null })",
        )
        for column in CARD_COLUMNS
    }
    assert len(expected.rows) == 9  # three demands, three plans
    assert [tuple(row) for row in zip(*shown.values(), strict=True)] == expected.rows


def test_the_headlines_say_where_to_run_and_why_not(browser: Browser, measured: Home) -> None:
    page = opened(browser, measured.report).page
    said = dict(
        zip(page.locator("article h4").all_inner_texts(), page.locator("article").all_inner_texts(), strict=True)
    )
    assert "90 % of requests within TTFT ≤ 500 ms and TPOT ≤ 40 ms" in said["interactive"]
    assert "Run at concurrency 8" in said["interactive"]
    assert "assistant, peak 95 requests/s: 1 server (4 GPUs" in said["interactive"]
    assert "Run at concurrency 1" in said["strict"]
    # the night before was 15 % slower: 50 ms x 1.15 x 17/16 = 61 ms against 60
    assert "infeasible" in table(page, "What was chosen before").inner_text()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_colours_follow_the_theme(
    browser: Browser, measured: Home, width: int, scheme: Scheme
) -> None:
    page = opened(browser, measured.report, width=width, scheme=scheme).page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    dark = "rgb(15, 21, 27)"
    assert (page.evaluate("getComputedStyle(document.body).backgroundColor") == dark) == (scheme == "dark")
    label = page.locator(".chart .role-axis-title text").first
    ink = label.evaluate("text => getComputedStyle(text).fill")
    assert ink == page.evaluate("getComputedStyle(document.querySelector('.meta')).color")


def test_the_commands_in_the_footer_work(browser: Browser, measured: Home) -> None:
    page = opened(browser, measured.report).page
    for command in page.locator("footer pre").all_inner_texts():
        assert ask(measured, command.removeprefix('ratecard sql "').removesuffix('"')).rows


def test_names_are_text_whatever_they_hold(browser: Browser, tmp_path: Path) -> None:
    seen = opened(browser, write_report(hostile_home(tmp_path)))
    assert seen.complaints == []
    assert seen.page.locator("summary h3").inner_text() == f"{HOSTILE} × {HOSTILE}"
    assert seen.page.locator("article h4").inner_text() == HOSTILE
    assert HOSTILE in seen.page.locator("tbody th").first.inner_text()
    assert seen.page.locator("td.slos b").all_inner_texts() == ["chosen"]
    assert seen.page.locator(".curve svg").count() == 1


def test_one_point_with_hardly_a_figure_is_an_honest_page(browser: Browser, tmp_path: Path) -> None:
    seen = opened(browser, write_report(one_point_home(tmp_path)))
    assert seen.complaints == []
    text = seen.page.locator("main").inner_text()
    assert "No valid point to choose from" in text
    assert "No load levels can be drawn" in text
    assert "no valid operating point" in text
    assert "more than 5 % of the requests failed" in text
    assert "None" not in text
    assert "nan" not in text


def test_without_token_counts_request_rates_are_drawn_and_requests_priced(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, write_report(uncounted_home(tmp_path))).page
    assert page.locator("details.endpoint figcaption").first.inner_text() == "Requests/s per GPU against TTFT p50"
    said = dict(
        zip(page.locator("article h4").all_inner_texts(), page.locator("article").all_inner_texts(), strict=True)
    )
    assert "per 1k prompts (token counts unknown) on own" in said["slo"]
    assert "the budget carries only" in said["slo"]
    assert "Undecided: no point can be judged\n\ntpot p50 unknown" in said["steady"]
    assert page.locator("[data-column=usd_per_mtok]").all_inner_texts() == ["–", "–"]


def test_open_loops_are_told_by_the_rate_that_was_offered(browser: Browser, rates: Home) -> None:
    seen = opened(browser, rates.report)
    assert seen.complaints == []
    page = seen.page
    assert "Run at 4.5 requests/s offered" in page.locator("article").inner_text()
    points = table(page, "Load levels")
    assert points.locator("tbody th").all_inner_texts() == ["2/s", "4.5/s", "10/s"]
    assert {"2/s", "4.5/s", "10/s"} <= set(page.locator(".curve .mark-text text").all_text_contents())
    assert "Labels at the points: 2/s is 2 requests/s offered." in page.locator("details.endpoint .legend").inner_text()
    assert "None" not in page.locator("main").inner_text()


def test_a_sweep_beside_open_loops_stands_before_them(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, write_report(rates_home(tmp_path, also_closed=True))).page
    points = table(page, "Load levels")
    shown = [text.split("\n")[0] for text in points.locator("tbody th").all_inner_texts()]
    assert shown == ["c=1", "c=4", "2/s", "4.5/s", "10/s"]
    assert "c=1 is concurrency 1; 2/s is 2 requests/s offered" in page.locator("details.endpoint .legend").inner_text()
    # each run has its own error bar
    text = page.locator("main").inner_text()
    assert "Error bar of the client (rates): TTFT p50 / p99 +0.04 / -0.13 ms, ITL +0.00 / +0.05 ms at 64" in text
    assert "Error bar of the client (sweep): not known: no calibration before this run." in text


def test_how_client_and_server_fared_folds_out(browser: Browser, rates: Home) -> None:
    page = opened(browser, rates.report).page
    fared = page.locator("details.fold", has_text="How the client fared")
    assert not fared.locator("table").is_visible()
    fared.locator("summary").click()
    rows = [row.locator("th, td").all_inner_texts() for row in fared.locator("tbody tr").all()]
    # load, late, merged, lag, CPU, round trip, reused, running, waiting, KV cache, prefix hits
    assert rows[1] == ["4.5/s", "0 %", "0 %", "1.5", "25 %", "–", "100 %", "3", "5.5", "37.5 %", "–"]
    assert (rows[0][3], rows[0][7], rows[2][1]) == ("–", "–", "100 %")


def test_without_a_metrics_page_the_server_has_no_columns(browser: Browser, measured: Home) -> None:
    page = opened(browser, measured.report).page
    fared = page.locator("details.fold", has_text="How the client fared")
    assert fared.locator("summary").inner_text() == "How the client fared"
    assert "KV cache" not in page.content()


def test_a_demand_without_a_chosen_point_stands_once(browser: Browser, tmp_path: Path) -> None:
    def fill(given: Given) -> None:
        ladder(given, "run", concurrencies=(1,))
        given.slo(("ttft", "p50", 1.0)).demand().plan().plan(price_plan="other")

    page = opened(browser, write_report(publish(Home(tmp_path), fill))).page
    card = table(page, "Fleet and price")
    assert card.locator("tbody tr").count() == 1
    assert "infeasible" in card.inner_text()
    assert "Where the prices are from" not in page.locator("main").inner_text()


def test_without_an_slo_points_are_shown_and_nothing_is_chosen(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, write_report(bare_home(tmp_path))).page
    assert "No SLO of that night's catalog applies" in page.locator("main").inner_text()
    assert page.locator("details.endpoint figcaption").all_inner_texts() == [
        "Requests/s per CPU against TTFT p50",
        "Requests/s per CPU against TPOT p50",
    ]
    assert page.locator(".curve svg").count() == 1  # no TPOT without token counts
    assert "No load levels can be drawn: TPOT p50" in page.locator("main").inner_text()


def test_a_run_that_measured_nothing_says_so(browser: Browser, tmp_path: Path) -> None:
    text = opened(browser, write_report(unmeasured_home(tmp_path))).page.locator("main").inner_text()
    assert "Run run is failed: 0 of 1 load levels measured (connection refused)" in text
    assert "No operating point was measured on this night." in text


def test_an_empty_warehouse_is_a_page_that_says_what_to_do(browser: Browser, tmp_path: Path) -> None:
    seen = opened(browser, write_report(empty_home(tmp_path)))
    assert seen.complaints == []
    assert "The warehouse holds no run." in seen.page.locator("main").inner_text()


def test_without_a_warehouse_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="no warehouse"):
        write_report(Home(tmp_path))


def test_it_is_written_where_it_is_told(measured: Home, tmp_path: Path) -> None:
    assert write_report(measured, tmp_path / "new" / "page.html") == tmp_path / "new" / "page.html"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]


def test_a_page_that_cannot_be_written_is_an_error_of_ours(measured: Home, tmp_path: Path) -> None:
    with pytest.raises(LandingError, match="cannot write"):
        write_report(measured, tmp_path)
