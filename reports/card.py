"""The rate card in the terminal and as a Prefect artifact: operating points, then what the demands cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reports.loads import load_label
from reports.tables import plain_table
from reports.words import reasons
from warehouse.ask import Answer, ask
from warehouse.home import Home

_POINTS = """
select
    endpoint,
    workload,
    concurrency,
    request_rate,
    request_rps,
    output_tps,
    ttft_p50_ms,
    ttft_p90_ms,
    tpot_p50_ms,
    e2e_p50_ms,
    error_share,
    validity
from curated.operating_points
where list_contains($runs, run_id) and is_current
order by endpoint, workload, concurrency nulls last, request_rate, run_id, level_index
"""

_CARD = """
select
    best.endpoint,
    best.workload,
    best.slo,
    best.status,
    best.concurrency,
    best.request_rate,
    best.attainment,
    fleet.demand,
    fleet.peak_rps,
    fleet.instances,
    fleet.servers,
    fleet.utilisation,
    cost.price_plan,
    cost.price_kind,
    cost.currency,
    cost.fleet_year_usd,
    cost.usd_per_1k_prompts,
    cost.usd_per_mtok,
    cost.usd_per_mtok_lo,
    cost.usd_per_mtok_hi,
    cost.usd_per_mtok_input,
    cost.usd_per_mtok_output,
    at_mean.usd_per_mtok as usd_per_mtok_at_mean,
    best.nearest_metric,
    best.nearest_statistic,
    best.nearest_value,
    best.nearest_limit,
    best.reasons,
    best.night
from curated.best_operating_points as best
inner join (
    select distinct endpoint, workload, night from curated.operating_points where list_contains($runs, run_id)
) as measured using (endpoint, workload, night)
left join curated.server_counts as fleet
    on best.endpoint = fleet.endpoint and best.workload = fleet.workload and best.slo = fleet.slo and best.night = fleet.night
left join curated.cost_per_million_tokens as cost
    on fleet.fleet_id = cost.fleet_id and cost.cost_basis = 'capacity' and cost.allocation_method <> 'processor_sharing'
left join curated.cost_per_million_tokens as at_mean
    on cost.fleet_id = at_mean.fleet_id and cost.price_plan = at_mean.price_plan and at_mean.cost_basis = 'demand'
        and cost.allocation_method = at_mean.allocation_method
order by best.endpoint, best.workload, best.slo, fleet.demand, cost.usd_per_mtok, cost.price_plan
"""


_HEADINGS = {
    "endpoint": "endpoint",
    "workload": "workload",
    "load": "load",
    "request_rps": "req/s",
    "output_tps": "out tok/s",
    "ttft_p50_ms": "TTFT p50 ms",
    "ttft_p90_ms": "TTFT p90 ms",
    "tpot_p50_ms": "TPOT p50 ms",
    "e2e_p50_ms": "E2E p50 ms",
    "error_share": "errors",
    "validity": "validity",
}
"""Columns of the operating points in the terminal; `load` stands for concurrency or request_rate."""


@dataclass(frozen=True)
class Card:
    """Operating points and costs of some runs."""

    points: Answer
    costs: Answer

    def as_json(self) -> dict[str, list[dict[str, Any]]]:
        """For scripts: rows as objects, named as in the warehouse."""
        return {"operating_points": self.points.objects(), "rate_card": self.costs.objects()}


def read_card(home: Home, run_ids: Sequence[str]) -> Card:
    """The card of `run_ids`, from the published warehouse."""
    runs = {"runs": list(run_ids)}
    return Card(ask(home, _POINTS, runs), ask(home, _CARD, runs))


def card_text(card: Card) -> str:
    """The card for a terminal."""
    if not card.points.rows:
        return "No operating point was measured."
    measured = [row | {"load": load_label(row)} for row in card.points.objects()]
    points = plain_table(
        list(_HEADINGS.values()),
        [[row[column] for column in _HEADINGS] for row in measured],
        "Operating points (steady-state window)",
    )
    rows = card.costs.objects()
    said = list(dict.fromkeys(line for row in rows if (line := _verdict(row))))
    priced = [row for row in rows if row["price_plan"] and row["servers"] is not None]
    costs = plain_table(
        [
            "endpoint",
            "demand",
            "SLO",
            "at",
            "servers",
            "plan",
            "a year",
            "per 1k prompts",
            "per 1M tokens",
            "95 % interval",
            "input",
            "output",
            "at the mean rate",
        ],
        [_priced(row) for row in priced],
        "Rate card (per 1M tokens: every server full, and at the demand's mean rate)",
    )
    unpriced = sorted({row["demand"] for row in rows if row["servers"] is not None and not row["price_plan"]})
    said += [
        f"demand {demand}: no price plan fits the endpoint's hardware on that date (prices.yaml)" for demand in unpriced
    ]
    explained = "\n".join(f"{reason}: {why}" for reason, why in reasons([row["validity"] for row in measured]).items())
    return "\n\n".join(filter(None, [points, explained, "\n".join(said), costs if priced else ""]))


def _verdict(row: dict[str, Any]) -> str:
    """One line for an SLO: what was chosen, or why nothing was."""
    head = f"{row['endpoint']} x {row['workload']}, SLO {row['slo']}: "
    if row["status"] == "chosen":
        share = "" if row["attainment"] is None else f" ({row['attainment']:.1%} of requests within it)"
        return f"{head}run at {load_label(row)}{share}"
    if row["status"] == "infeasible":
        statistic = f" {row['nearest_statistic']}" if row["nearest_statistic"] else ""
        value, limit = row["nearest_value"], row["nearest_limit"]
        return f"{head}infeasible; nearest miss {row['nearest_metric']}{statistic} = {value:.5g} against {limit:.5g}"
    return f"{head}{row['status'].replace('_', ' ')}: {row['reasons'] or 'see validity above'}"


def _priced(row: dict[str, Any]) -> list[str | int | None]:
    low, high = row["usd_per_mtok_lo"], row["usd_per_mtok_hi"]
    return [
        row["endpoint"],
        row["demand"],
        row["slo"],
        load_label(row),
        None if row["price_kind"] == "api" else row["servers"],
        row["price_plan"],
        _money(row["fleet_year_usd"], row["currency"]),
        _money(row["usd_per_1k_prompts"], row["currency"]),
        _money(row["usd_per_mtok"], row["currency"]),
        f"{_money(low, row['currency'])} - {_money(high, row['currency'])}"
        if low is not None and high is not None
        else "",
        _money(row["usd_per_mtok_input"], row["currency"]),
        _money(row["usd_per_mtok_output"], row["currency"]),
        _money(row["usd_per_mtok_at_mean"], row["currency"]),
    ]


def _money(value: float | None, currency: str) -> str:
    if value is None:
        return ""
    sign = "$" if currency == "USD" else f"{currency} "
    return f"{sign}{value:,.0f}" if value >= 1000 else f"{sign}{value:.4g}"
