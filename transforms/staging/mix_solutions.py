"""The cheapest mix of each demand for several classes of requests, one solution a currency, or why there is none.

grain: mix_id, currency
columns: status (solved, infeasible, no_price_plan, undecided), reasons, solver, cost_usd, optimality_gap; `routes`,
which share of a class goes to which offer; `bought`, how many instances of each offer, null for an API. Only mixes
within one currency are compared. Classes without a share of the requests take no part.
assertions (mix_solutions.test.sql): each class of a solved mix is served whole, and each route can serve its class
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

if TYPE_CHECKING:
    from transforms.mixes import Offer, Solution

READS = ("staging.mix_demands", "staging.mix_rates", "staging.mix_offers", "staging.mix_loads")
LIMIT_S = 10.0
"""Seconds for one mix; what is then not proven optimal says by how much at most (optimality_gap)."""

Row = dict[str, Any]

_OFFER = [("endpoint", pa.string()), ("price_plan", pa.string())]
_ROUTE = pa.struct([("workload", pa.string()), *_OFFER, ("share", pa.float64())])
_BOUGHT = pa.struct([*_OFFER, ("instances", pa.int64())])
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("mix_id", "currency", "status", "reasons", "solver")]
    + [(name, pa.float64()) for name in ("cost_usd", "optimality_gap")]
    + [("routes", pa.list_(_ROUTE)), ("bought", pa.list_(_BOUGHT))]
)


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table `staging.mix_solutions`."""
    rates, offers, loads = (_by_mix(con, f"staging.mix_{name}") for name in ("rates", "offers", "loads"))
    rows = [
        row
        for demand in _rows(con, "staging.mix_demands")
        for row in _mixes(demand, *(table.get(demand["mix_id"], []) for table in (rates, offers, loads)))
    ]
    con.register("solved_mixes", pa.Table.from_pylist(rows, schema=_SCHEMA))
    con.execute("create or replace table staging.mix_solutions as from solved_mixes")
    con.unregister("solved_mixes")


def _rows(con: duckdb.DuckDBPyConnection, table: str) -> list[Row]:
    found = con.execute(f"from {table} order by all")
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _by_mix(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for row in _rows(con, table):
        rows.setdefault(row["mix_id"], []).append(row)
    return rows


def _mixes(demand: Row, rates: list[Row], offers: list[Row], loads: list[Row]) -> Iterator[Row]:
    """The rows of one mix: one a currency, or one without where no currency matters."""
    classes = sorted({rate["workload"] for rate in rates if rate["class_share"] > 0})
    base = {"mix_id": demand["mix_id"], "currency": None, "routes": [], "bought": []}
    served = {rate["workload"] for rate in rates if rate["rps_per_instance"] is not None}
    if unserved := [name for name in classes if name not in served]:
        why = "; ".join(_verdicts(name, rates) for name in unserved)
        yield base | {"status": "infeasible", "reasons": f"no endpoint serves {why}"}
    elif not offers:
        yield base | {"status": "no_price_plan", "reasons": "no price plan is in force for the endpoints' hardware"}
    else:
        for currency in sorted({offer["currency"] for offer in offers}):
            within = [offer for offer in offers if offer["currency"] == currency]
            yield base | {"currency": currency} | _solved(demand, classes, within, loads)


def _verdicts(name: str, rates: list[Row]) -> str:
    verdicts = [f"{r['endpoint']} {r['status']}" for r in rates if r["workload"] == name and r["endpoint"] is not None]
    return f"{name} within the SLO ({', '.join(verdicts) or 'not measured that night'})"


def _solved(demand: Row, classes: list[str], offers: list[Row], loads: list[Row]) -> Row:
    """What is to be known of a mix in one currency."""
    # highspy takes 0.2 s to import, and most builds have nothing to solve
    from transforms.mixes import SOLVER, Budget, solve

    usable = [_offer(offer, loads, classes) for offer in offers if offer["left_out"] is None]
    usable = [offer for offer in usable if offer.loads or offer.class_year_usd]
    reasons = list(_left_out(offers))
    unpriced = [name for name in classes if not any({*o.loads, *o.class_year_usd} & {name} for o in usable)]
    if unpriced:
        why = f"no {offers[0]['currency']} plan prices an endpoint that serves {', '.join(unpriced)}"
        return {"status": "no_price_plan", "reasons": "; ".join([why, *reasons])}
    budget = Budget(demand["max_instances"], demand["max_gpus"], demand["max_power_kw"])
    mix = solve(usable, classes, limit_s=LIMIT_S, spares=demand["spares"], budget=budget)
    if mix.status != "solved":
        reasons.insert(0, _budget_words(demand) if mix.status == "infeasible" else f"nothing found in {LIMIT_S:g} s")
        return {"status": mix.status, "reasons": "; ".join(reasons), "solver": SOLVER}
    return _found(mix, usable) | {"reasons": "; ".join(reasons) or None, "solver": SOLVER}


def _offer(offer: Row, loads: list[Row], classes: list[str]) -> "Offer":
    from transforms.mixes import Offer

    mine = [
        load
        for load in loads
        if (load["endpoint"], load["price_plan"]) == (offer["endpoint"], offer["price_plan"])
        and load["workload"] in classes
    ]
    return Offer(
        endpoint=offer["endpoint"],
        price_plan=offer["price_plan"],
        loads={load["workload"]: load["load"] for load in mine if load["load"] is not None},
        unit_year_usd=offer["unit_year_usd"] or 0.0,  # an API's
        instances_per_unit=offer["instances_per_unit"],
        units_per_instance=offer["units_per_instance"],
        gpus_per_instance=offer["gpus_per_instance"],
        kw_per_instance=offer["kw_per_instance"] or 0.0,  # without a budget of power it does not matter
        class_year_usd={
            load["workload"]: load["class_year_usd"] for load in mine if load["class_year_usd"] is not None
        },
    )


def _left_out(offers: list[Row]) -> Iterator[str]:
    for why in sorted({offer["left_out"] for offer in offers if offer["left_out"] is not None}):
        plans = sorted({offer["price_plan"] for offer in offers if offer["left_out"] == why})
        yield f"left out, {why}: {', '.join(plans)}"


def _budget_words(demand: Row) -> str:
    names = ("max_instances", "max_gpus", "max_power_kw")
    given = [f"{name} {demand[name]:g}" for name in names if demand[name] is not None]
    return f"no mix serves the peak within {' and '.join(given)}"


def _found(mix: "Solution", offers: list["Offer"]) -> Row:
    def names(at: int) -> Row:
        return {"endpoint": offers[at].endpoint, "price_plan": offers[at].price_plan}

    used = sorted({at for _, at in mix.shares})
    return {
        "status": "solved",
        "cost_usd": mix.cost_usd,
        "optimality_gap": mix.gap,
        "routes": [{"workload": name, **names(at), "share": share} for (name, at), share in sorted(mix.shares.items())],
        "bought": [{**names(at), "instances": mix.instances.get(at)} for at in used],
    }
