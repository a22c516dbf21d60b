"""`ratecard size` asks here: what a fleet for a demand would cost, by the night's own SQL files and prices."""

from pydantic import ValidationError

from schemas.catalog import Catalog
from schemas.catalog.demands import Demand
from schemas.errors import UsageError
from warehouse import manifests, scenarios, sources
from warehouse.ask import own_rows
from warehouse.home import Home
from warehouse.levers import Inputs, moved
from warehouse.sizing import Point, Question, Row, Sizing, scenario_of

DEMAND = "asked"
"""Name of the demand that is asked about."""


def size(home: Home, question: Question, catalog: Catalog | None = None, *, what_ifs: bool = True) -> Sizing:
    """Answer `question` with the prices of its night, or with those of `catalog`.

    Without `what_ifs` nothing is said of what moves the answer.

    Raises:
        UsageError: there is no such endpoint, SLO, workload, night or price plan, or the demand contradicts itself.
        WarehouseError: there is no warehouse, or it cannot be asked.

    """
    best = _best(home, question)
    prices = (
        "another catalog (--catalog)" if catalog else f"the night's own catalog, snapshot {best['catalog_hash'][:12]}"
    )
    if catalog is None:
        catalog = manifests.read_catalog(home, best["catalog_hash"])
    demand = _demand(question, best, catalog)
    points = _points(home, best)
    chosen = next((p for p in points if p.row["operating_point_id"] == best["operating_point_id"]), None)
    if best["status"] != "chosen" or chosen is None:
        return Sizing(question, best, points, prices)
    plans = tuple(sources.price_rows(best["catalog_hash"], catalog))
    inputs = Inputs(demand, plans, chosen.row, chosen.attainment, chosen.shares)
    asked = {best["catalog_hash"]: inputs}
    if what_ifs:
        asked |= {scenario_of(lever, direction): other for lever, direction, other in moved(inputs)}
    return Sizing(question, best, points, prices, inputs, scenarios.run(best, _runs(home, best), asked))


def _best(home: Home, question: Question) -> Row:
    """The row of best_operating_points that the question is about."""
    found = own_rows(home, "select * from curated.best_operating_points order by night, workload")
    for name, wanted in (("endpoint", question.endpoint), ("slo", question.slo), ("workload", question.workload)):
        there = sorted({row[name] for row in found})
        if wanted is None and len(there) > 1:
            raise UsageError(f"--workload is needed: {question.endpoint} was measured with {', '.join(there)}")
        found = [row for row in found if wanted in (None, row[name])]
        if not found:
            known = ", ".join(there) or "none; `ratecard run` measures one"
            raise UsageError(f"--{name} {wanted}: nothing measured for it, expected one of {known}")
    if question.night != "latest":
        nights = list(dict.fromkeys(f"{row['night']:%Y-%m-%dT%H:%M:%S}" for row in found))
        wanted = question.night.replace(" ", "T").removesuffix("Z")
        found = [row for row in found if f"{row['night']:%Y-%m-%dT%H:%M:%S}".startswith(wanted)]
        if not found:
            raise UsageError(f"--night {question.night}: expected latest or one of {', '.join(nights[-10:])}")
    return found[-1]


def _demand(question: Question, best: Row, catalog: Catalog) -> Row:
    fields = {"application": "ratecard size", "workload": best["workload"], "slo": best["slo"]}
    missing = [name for name in question.demand.get("price_plans", ()) if name not in catalog.prices]
    if missing:
        known = ", ".join(sorted(catalog.prices)) or "none"
        raise UsageError(f"--price-plan {missing[0]}: expected one of {known}")
    try:
        demand = Demand.model_validate(fields | question.demand)
    except ValidationError as error:
        raise UsageError(
            "; ".join(str(item.get("ctx", {}).get("error", item["msg"])) for item in error.errors())
        ) from None
    [row] = sources.demand_rows(best["catalog_hash"], Catalog.model_construct(demands={DEMAND: demand}))
    return row


def _points(home: Home, best: Row) -> list[Point]:
    at = {name: best[name] for name in ("endpoint", "workload", "night")}
    same = "endpoint = $endpoint and workload = $workload and night = $night"

    def by_point(table: str) -> dict[str, Row]:
        found = own_rows(home, f"select * from curated.{table} where {same} and slo = $slo", at | {"slo": best["slo"]})
        return {row["operating_point_id"]: row for row in found}

    load = "load_kind, concurrency, request_rate, run_id, level_index"
    query = f"select * from curated.operating_points where {same} and is_current and is_valid order by {load}"
    attained, shares = by_point("slo_attainment"), by_point("time_shares")
    return [
        Point(row, attained[row["operating_point_id"]], shares.get(row["operating_point_id"]))
        for row in own_rows(home, query, at)
        if row["operating_point_id"] in attained
    ]


def _runs(home: Home, best: Row) -> list[Row]:
    at = {name: best[name] for name in ("endpoint", "workload", "night")}
    same = "endpoint = $endpoint and workload = $workload and night = $night"
    return own_rows(home, f"select * from curated.runs where {same}", at)
