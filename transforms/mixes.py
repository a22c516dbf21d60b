"""The cheapest mix of endpoints for several classes of requests: a mixed-integer program, solved exactly by HiGHS.

The idea is Mélange's (Griggs et al., 2024, arXiv:2404.14527): buckets of request sizes × kinds of GPU, where an
instance that serves several classes spends on each the time that it would need for it alone. Here an offer is an
endpoint under a price plan, servers are whole, spares and budgets count (docs/economics.md, A mix of accelerators):

    minimise   Σ_o unit_year_o · units_o + Σ_co class_year_co · x_co
    subject to Σ_o x_co = 1                       every class is served whole
               Σ_c load_co · x_co ≤ n_o           instances, integer; load_co: those that all of class c keeps busy
               n_o + spares · used_o ≤ units_o · instances_per_unit_o
               budgets over all n_o + spares · used_o

Knows no tables: `transforms/staging/mix_solutions.py` reads the offers and writes what is found here.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, inf, isfinite

import highspy

SOLVER = f"HiGHS {highspy.HIGHS_VERSION_MAJOR}.{highspy.HIGHS_VERSION_MINOR}.{highspy.HIGHS_VERSION_PATCH}"
_TOLERANCE = 1e-9
"""By how much the solver may miss a constraint, and its proof the optimum (as a share of the cost)."""
_NOISE = 1e-8
"""Part of a load that may be nothing but that tolerance: no instance is bought for it."""
_DUST = 1e-9
"""Shares below it are nothing."""
_PLAIN_S = 2.0
"""Seconds to look for a plainer routing of the same cost."""

Shares = dict[tuple[str, int], float]
"""Share of a class (by name) that goes to an offer (by position)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An endpoint under a price plan.

    `loads` are the instances, with fractions, that the whole of each class keeps busy at peak with headroom; a class
    that is not in it cannot be served. What is paid for is a unit: a server of `instances_per_unit` instances, or one
    instance by the GPU; an instance larger than a server takes `units_per_instance`. An API plan has no loads and no
    instances: `class_year_usd` is what the whole of each class costs.
    """

    endpoint: str
    price_plan: str
    loads: dict[str, float] = field(default_factory=dict)
    unit_year_usd: float = 0.0
    instances_per_unit: int = 1
    units_per_instance: int = 1
    gpus_per_instance: int = 1
    kw_per_instance: float = 0.0
    class_year_usd: dict[str, float] = field(default_factory=dict)

    def fleet_year_usd(self, instances: int) -> float:
        """What so many instances cost, in whole units."""
        return -(-instances // self.instances_per_unit) * self.units_per_instance * self.unit_year_usd


@dataclass(frozen=True, slots=True)
class Budget:
    """Hard limits of the whole mix, spares included; null: none."""

    instances: int | None = None
    gpus: int | None = None
    kw: float | None = None

    def limits(self, offers: Sequence[Offer]) -> list[tuple[float, list[float]]]:
        """Each limit, and what an instance of each offer takes of it."""
        every: list[tuple[float | None, list[float]]] = [
            (self.instances, [1.0 for _ in offers]),
            (self.gpus, [float(offer.gpus_per_instance) for offer in offers]),
            (self.kw, [offer.kw_per_instance for offer in offers]),
        ]
        return [(limit, weights) for limit, weights in every if limit is not None]

    def holds(self, offers: Sequence[Offer], instances: dict[int, int]) -> bool:
        """Whether a fleet is within it."""
        taken = ((limit, sum(w[position] * n for position, n in instances.items())) for limit, w in self.limits(offers))
        return all(total <= limit * (1 + _TOLERANCE) for limit, total in taken)


@dataclass(frozen=True, slots=True)
class Solution:
    """What was found: `status` is solved, infeasible, or undecided where time ran out before either was known.

    `instances` (with spares, by offer) and `cost_usd` are counted from `shares`, whatever the solver says of them;
    `bound_usd` is its proof that no mix is cheaper.
    """

    status: str
    shares: Shares = field(default_factory=dict)
    instances: dict[int, int] = field(default_factory=dict)
    cost_usd: float = inf
    bound_usd: float = 0.0

    @property
    def gap(self) -> float:
        """By how much another mix could be cheaper at most, as a share of the cost; 0: proven optimal."""
        gap = (self.cost_usd - self.bound_usd) / self.cost_usd if 0 < self.cost_usd < inf else 0.0
        return gap if gap > 2 * _TOLERANCE else 0.0


def solve(
    offers: Sequence[Offer], classes: Sequence[str], *, limit_s: float, spares: int = 0, budget: Budget | None = None
) -> Solution:
    """The cheapest fleet of `offers` that serves every class, and which share of each class goes where.

    Each offer alone is a candidate too, so that there is an answer where the solver runs out of time.
    """
    budget, kept = budget or Budget(), _without_dearer_twins(offers)
    offered = [offers[position] for position in kept]
    found = _search(offered, classes, spares, budget, limit_s)
    mixes = [found, *_alone(offered, classes, spares)]
    usable = [mix for mix in mixes if mix.status == "solved" and budget.holds(offered, mix.instances)]
    best = min(usable, key=lambda mix: mix.cost_usd, default=found)
    # what is cheaper than the bound shows that the bound is none
    is_bound = best.cost_usd >= found.bound_usd * (1 - 2 * _TOLERANCE)
    return replace(
        best,
        shares={(name, kept[at]): share for (name, at), share in best.shares.items()},
        instances={kept[at]: n for at, n in best.instances.items()},
        bound_usd=min(found.bound_usd, best.cost_usd) if is_bound else 0.0,
    )


def _alone(offers: Sequence[Offer], classes: Sequence[str], spares: int) -> Iterator[Solution]:
    """Each offer that can serve every class by itself."""
    for at, offer in enumerate(offers):
        if {*classes} <= {*offer.loads, *offer.class_year_usd}:
            shares = {(name, at): 1.0 for name in classes}
            yield Solution("solved", shares, *count(offers, shares, spares))


def instances_for(load: float) -> int:
    """Whole instances for a load; 12.000000000001 is 12 (docs/economics.md, Servers)."""
    return ceil(round(load * (1 - _NOISE), 9))


def count(offers: Sequence[Offer], shares: Shares, spares: int) -> tuple[dict[int, int], float]:
    """(instances by offer, usd a year) that `shares` need, from nothing but the shares."""
    instances: dict[int, int] = {}
    cost = 0.0
    for at, offer in enumerate(offers):
        routed = {name: share for (name, position), share in shares.items() if position == at}
        cost += sum(offer.class_year_usd.get(name, 0.0) * share for name, share in routed.items())
        if routed and offer.loads:
            instances[at] = instances_for(sum(offer.loads[name] * share for name, share in routed.items())) + spares
            cost += offer.fleet_year_usd(instances[at])
    return instances, cost


def _without_dearer_twins(offers: Sequence[Offer]) -> list[int]:
    """Positions of the offers that a cheapest mix may need: of plans that differ in price alone, the cheapest."""
    best: dict[object, int] = {}
    for at, offer in enumerate(offers):
        alike = (offer.endpoint, tuple(sorted(offer.loads.items())), offer.instances_per_unit)
        if offer.loads and offer.fleet_year_usd(1) < offers[best.setdefault(alike, at)].fleet_year_usd(1):
            best[alike] = at
    return sorted([*best.values(), *(at for at, offer in enumerate(offers) if not offer.loads)])


class _Highs(highspy.Highs):
    """HiGHS without a word: 1.16 prints a banner where callbacks are enabled, before anything can silence it."""

    def __init__(self, limit_s: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.setOptionValue("time_limit", limit_s)
        self.setOptionValue("parallel", "off")
        self.setOptionValue("primal_feasibility_tolerance", _TOLERANCE)
        self.setOptionValue("mip_feasibility_tolerance", _TOLERANCE)
        self.setOptionValue("mip_rel_gap", _TOLERANCE)
        # with tolerances as tight as this the presolve of 1.16 loses the optimum now and then (a test has such a case)
        self.setOptionValue("presolve", "off")

    def enableCallbacks(self) -> None:  # noqa: N802
        """Silence instead: nobody listens to callbacks."""
        self.silent()


Routes = dict[tuple[str, int], highspy.highs_var]
"""The solver's variable for each entry of Shares."""


def _routes(
    highs: _Highs, offers: Sequence[Offer], classes: Sequence[str], among: Container[int] | None = None
) -> Routes:
    """A share of each class to each offer (`among` some) that serves it; those of a class add up to 1."""
    routes: Routes = {}
    for name in classes:
        serving = [at for at, offer in enumerate(offers) if name in offer.loads or name in offer.class_year_usd]
        serving = [at for at in serving if among is None or at in among]
        routes |= {(name, at): highs.addVariable(0, 1) for at in serving}
        highs.addConstr(highs.qsum(routes[name, at] for at in serving) == 1)
    return routes


def _search(offers: Sequence[Offer], classes: Sequence[str], spares: int, budget: Budget, limit_s: float) -> Solution:
    """The solver's answer, counted anew."""
    highs = _Highs(limit_s)
    routes = _routes(highs, offers, classes)
    working = {at: highs.addIntegral() for at, offer in enumerate(offers) if offer.loads}
    cost = highs.qsum(offers[at].class_year_usd.get(name, 0.0) * x for (name, at), x in routes.items())
    fleet = {}
    for at, n in working.items():
        here = {name: x for (name, position), x in routes.items() if position == at}
        highs.addConstr(highs.qsum(offers[at].loads[name] * x for name, x in here.items()) <= n)
        fleet[at] = 1 * n
        if spares:
            used = highs.addBinary()
            highs.addConstr(n <= (ceil(sum(offers[at].loads.values())) + 1) * used)
            for x in here.values():
                highs.addConstr(x <= used)
            fleet[at] += spares * used
        cost += _units(highs, offers[at], fleet[at]) * offers[at].unit_year_usd
    for limit, weights in budget.limits(offers):
        highs.addConstr(highs.qsum(weights[at] * instances for at, instances in fleet.items()) <= limit)
    highs.minimize(cost)
    info, status = highs.getInfo(), highs.getModelStatus()
    bound = max(0.0, info.mip_dual_bound) if isfinite(info.mip_dual_bound) else 0.0
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        never = (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible)
        return Solution("infeasible" if status in never else "undecided", bound_usd=bound)
    shares = _tidied({key: highs.val(x) for key, x in routes.items()})
    shares = _plainest(offers, shares, {at: round(highs.val(n)) for at, n in working.items()}) or shares
    return Solution("solved", shares, *count(offers, shares, spares), bound_usd=bound)


def _units(highs: _Highs, offer: Offer, instances: highspy.highs_linear_expression) -> highspy.highs_linear_expression:
    """Units that house `instances`."""
    units: highspy.highs_linear_expression = instances * offer.units_per_instance
    if offer.instances_per_unit > 1:
        units = 1 * highs.addIntegral()
        highs.addConstr(instances <= offer.instances_per_unit * units)
    return units


def _plainest(offers: Sequence[Offer], shares: Shares, instances: dict[int, int]) -> Shares | None:
    """Of the routings that cost the same on the same instances, the one with the fewest routes, then the least busy GPUs.

    Where instances have room left, many routings are equally cheap; null where this one is not found in time.
    """
    highs = _Highs(_PLAIN_S)
    used = {at for _, at in shares}
    routes = _routes(highs, offers, list(dict.fromkeys(name for name, _ in shares)), used)
    for at in used & instances.keys():
        load = highs.qsum(offers[at].loads[name] * x for (name, position), x in routes.items() if position == at)
        highs.addConstr(load <= instances[at])
    bought = {key: offers[key[1]].class_year_usd.get(key[0], 0.0) for key in routes}
    spent = sum(bought[key] * share for key, share in shares.items())
    highs.addConstr(highs.qsum(bought[key] * x for key, x in routes.items()) <= spent * (1 + _TOLERANCE))
    routed = highs.qsum(_is_used(highs, x) for x in routes.values())
    busy = {key: offers[key[1]].gpus_per_instance * offers[key[1]].loads.get(key[0], 0.0) for key in routes}
    most = sum(busy.values()) or 1.0
    highs.minimize(routed + highs.qsum(busy[key] / most / 2 * x for key, x in routes.items()))
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return _tidied({key: highs.val(x) for key, x in routes.items()})


def _is_used(highs: _Highs, share: highspy.highs_var) -> highspy.highs_var:
    used: highspy.highs_var = highs.addBinary()
    highs.addConstr(share <= used)
    return used


def _tidied(shares: Shares) -> Shares:
    """Without the solver's noise: nothing below 0, each class adds up to 1."""
    kept = {key: share for key, share in shares.items() if share > _DUST}
    totals: dict[str, float] = {}
    for (name, _), share in kept.items():
        totals[name] = totals.get(name, 0.0) + share
    return {(name, at): share / totals[name] for (name, at), share in kept.items()}
