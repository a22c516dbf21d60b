"""The answer of `ratecard size` in the terminal: the point, the fleet, three costs, the ledger, what moves them most."""

from typing import Any

from reports.loads import load_of
from reports.numbers import number, percent, when
from reports.sizing_costs import costs_text, table
from reports.words import METRICS
from warehouse.sizing import Row, Sizing


def sizing_text(sizing: Sizing) -> str:
    """The answer for a terminal."""
    best = sizing.best
    head = f"{best['endpoint']} x {best['workload']}, SLO {best['slo']}, night {when(best['night'])} UTC"
    parts = [head, verdict(sizing)]
    if sizing.fleet is not None and sizing.fleet["instances"] is not None:
        parts += [_fleet(sizing.fleet), *costs_text(sizing)]
    return "\n\n".join(part for part in parts if part)


def verdict(sizing: Sizing) -> str:
    """The operating point and why, or why there is none."""
    best = sizing.best
    if best["status"] == "infeasible":
        metric = (
            f"{METRICS.get(best['nearest_metric'], best['nearest_metric'])} {best['nearest_statistic'] or ''}".strip()
        )
        return (
            f"Infeasible: none of {best['valid_points']} valid points meets the SLO. The nearest miss is "
            f"{best['nearest_operating_point_id']}: {metric} {number(best['nearest_value'])} against "
            f"{number(best['nearest_limit'])} ({percent(best['nearest_excess'])} off)."
        )
    if best["status"] == "undecided":
        return f"Undecided: a valid point cannot be judged for want of samples or counts ({best['reasons']})."
    if best["status"] != "chosen" or sizing.inputs is None:
        return f"No valid point: {best['reasons']}."
    point = sizing.inputs.point
    within = "" if best["attainment"] is None else f"; {percent(best['attainment'])} of requests within the SLO"
    return (
        f"Run at {load_of(best)} ({best['operating_point_id']}): {number(best['request_rps'])} requests/s over "
        f"{point['instances_measured']} instance(s), {number(best['request_rps_per_gpu'])} a GPU, the most of "
        f"{best['feasible_points']} point(s) that meet the SLO, of {best['valid_points']} valid{within}."
    )


def _fleet(fleet: Row) -> str:
    headroom = fleet["instances_with_headroom"] - fleet["instances_for_peak"]
    spread = (
        ""
        if fleet["instances_lo"] is None or fleet["instances_hi"] is None
        else f"{fleet['instances_lo']} to {fleet['instances_hi']}"
    )
    rows = [
        ["peak / mean", f"{number(fleet['peak_rps'])} / {number(fleet['mean_rps'])} requests/s", _of_mean(fleet)],
        ["an instance", f"{number(fleet['rps_per_instance'])} requests/s on {fleet['gpus_per_instance']} GPU(s)", _rates(fleet)],
        ["instances", fleet["instances"], f"{fleet['instances_for_peak']} for the peak, {headroom} headroom, {fleet['spares']} spare"],
        ["", "", f"{spread} over the 95 % interval of the rate" if spread else "the rate has no interval"],
        ["servers", fleet["servers"], f"of {fleet['gpus_per_server']} GPUs; {fleet['stranded_gpus']} of {fleet['gpus'] + fleet['stranded_gpus']} GPUs stranded"],
        ["utilisation", percent(fleet["utilisation"]), f"at the peak; {percent(fleet['utilisation_at_mean'])} at the mean"],
        ["load served", percent(fleet["share_of_load_served"]), _budget(fleet)],
        ["one server down", "holds the peak" if fleet["survives_one_server"] else "does not hold the peak", ""],
    ]  # fmt: skip
    return table(["Fleet", "", ""], [row for row in rows if any(row)])


def _of_mean(fleet: Row) -> str:
    return "the mean is not known: --mean-rps or --peak-to-average" if fleet["mean_rps"] is None else ""


def _rates(fleet: Row) -> str:
    low, high = fleet["rps_per_instance_lo"], fleet["rps_per_instance_hi"]
    return "" if low is None or high is None else f"{number(low)} to {number(high)} (95 %)"


def _budget(fleet: Row) -> str:
    return "" if fleet["max_instances"] is None else f"within a budget of {fleet['max_instances']} instances"


def sizing_json(sizing: Sizing) -> dict[str, Any]:
    """The answer for scripts, rows named as in the warehouse."""
    question = sizing.question
    return {
        "asked": {"endpoint": question.endpoint, "slo": question.slo, **question.demand},
        "best_operating_point": sizing.best,
        "fleet": sizing.fleet,
        "prices": sizing.prices,
        "price_plan": sizing.plan,
        "compared_by": f"{sizing.compared}, {sizing.cost_basis}",
        **{name: sizing.rows(name) for name in ("cost_per_million_tokens", "cost_ledger", "break_even")},
        "sensitivity": sizing.sensitivity(),
    }
