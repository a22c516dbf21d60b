"""How many instances, servers and GPUs (docs/economics.md, Servers)."""

from typing import Any

from reports.workbook.formulas import ceiling
from reports.workbook.lines import COUNT, RATE, SHARE, Line, housed, in_a_server

_WITHIN_BUDGET = "IF(COUNT(budget)=0, 1E+15, MAX(0, budget-spares))"
_LEFT = f"(instances@-MIN(instances@, MAX(1, {in_a_server('gpus_per_server')})))*rps_per_instance@"


def _line(name: str, label: str, unit: str, formula: str, number: str = COUNT, **more: Any) -> Line:
    column = {"spares_kept@": "spares"}.get(name, name.removesuffix("@"))
    return Line(name, label, unit, formula, number, ("server_counts", column), **more)


FLEET = (
    _line("rps_per_instance@", "Rate of one instance", "requests/s", 'IF(request_rps@>0, request_rps@/instances_measured, "n/a")',
          RATE),
    _line("instances_with_headroom@", "Instances for the peak with headroom", "instances",
          f"MIN({ceiling('peak_rps*(1+headroom)/rps_per_instance@')}, {_WITHIN_BUDGET})", optional=("budget",)),
    _line("instances_for_peak@", "… of these, for the peak alone", "instances",
          f"MIN({ceiling('peak_rps/rps_per_instance@')}, instances_with_headroom@)"),
    _line("spares_kept@", "Spares, within the budget", "instances",
          "IF(COUNT(budget)=0, spares, MIN(spares, budget))", optional=("budget",), needs=("rps_per_instance@",)),
    _line("instances@", "Instances", "instances", "instances_with_headroom@+spares_kept@", is_total=True),
    _line("servers@", "Servers of the endpoint's own size", "servers", housed("instances@", "gpus_per_server")),
    _line("gpus@", "GPUs that instances use", "GPUs", "instances@*gpus_per_instance"),
    _line("stranded_gpus@", "Stranded GPUs", "GPUs", "servers@*gpus_per_server-gpus@"),
    _line("utilisation@", "Utilisation at the peak", "of the instances", "peak_rps/(instances@*rps_per_instance@)",
          SHARE),
    _line("utilisation_at_mean@", "Utilisation at the mean", "of the instances",
          "mean_rps/(instances@*rps_per_instance@)", SHARE),
    _line("share_of_load_served@", "Share of the peak that is served", "of the peak",
          "MIN(1, instances@*rps_per_instance@/peak_rps)", SHARE),
    _line("survives_one_server@", "Carries the peak with one server down", "",
          f'IF({_LEFT}>=peak_rps*(1-1E-9), "yes", "no")'),
)  # fmt: skip
