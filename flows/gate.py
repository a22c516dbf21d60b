"""`ratecard gate`: exit code 3 where a cost rose by more than a limit, and by more than its own noise."""

import re
from collections.abc import Callable
from typing import Any

import click

from flows.options import SectionedCommand, home_option, in_section
from schemas.errors import GateError, UsageError

_WHICH = "Which series (each may be given several times)"
_LISTED = 20


def _share(_ctx: click.Context, _parameter: click.Parameter, value: str) -> float:
    """`5%` or `0.05` as a share."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(%?)", value.strip())
    share = float(found[1]) / (100 if found[2] else 1) if found else None
    if share is None or (share > 1 and found is not None and not found[2]):
        raise click.BadParameter(f"found {value!r}, expected a share such as 5% or 0.05")
    return share


def _series(option: str, help_: str) -> Callable[..., Any]:
    return in_section(_WHICH, option, metavar="NAME", multiple=True, help=help_)


@click.command(cls=SectionedCommand)
@click.option(
    "--max-cost-increase", "limit", metavar="SHARE", callback=_share, required=True, help="Such as 5% or 0.05."
)
@click.option(
    "--against", type=click.Choice(["baseline", "previous"]), default="baseline", show_default=True,
    help="The median of the valid nights since the last step, or the last valid night.",
)  # fmt: skip
@click.option("--require-baseline", is_flag=True, help="Trip where a series cannot be judged, too.")
@_series("--endpoint", "Endpoints.")
@_series("--workload", "Workloads.")
@_series("--slo", "SLOs.")
@_series("--demand", "Demands.")
@_series("--price-plan", "Price plans.")
@_series("--cost-basis", "capacity, slo or demand.")
@_series("--series", "Whole series, by series_id.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of row objects, one a series.")
def gate(
    limit: float,
    against: str,
    require_baseline: bool,
    home: str | None,
    as_json: bool,
    series: tuple[str, ...],
    **chosen: Any,
) -> None:
    """Hold each series' newest night against its history: exit code 3 where its cost rose by more than SHARE.

    A rise trips only if it is more than the series' own noise: an open regression, 3 sigmas of one night, or a change of
    prices or demand, which is known exactly. So does an SLO that no operating point meets any more. A series without a
    baseline (5 valid nights), or whose newest night has no valid point, is not judged, and said so.

    \b
    Examples:
      ratecard gate --max-cost-increase 5%
      ratecard gate --max-cost-increase 5% --against previous --endpoint llama-h100 --json
    """
    from reports.gate import judge
    from reports.tables import to_json
    from warehouse.home import resolve

    verdicts = judge(resolve(home), limit, against, chosen | {"series_id": series})
    if not verdicts and any((*chosen.values(), series)):
        raise UsageError(
            'no series is called so: `ratecard sql "select distinct series_id from cost_trends"` lists them'
        )
    if as_json:
        click.echo(to_json([verdict.as_json() for verdict in verdicts]))
    counts = {
        name: [v for v in verdicts if v.verdict == name]
        for name in ("ok", "noise", "no_baseline", "no_value", "tripped")
    }
    unjudged = [*counts["no_baseline"], *counts["no_value"]]
    if not as_json:
        for verdict in [*counts["noise"], *unjudged][:_LISTED]:
            click.echo(verdict.sentence())
        held = len(counts["ok"]) + len(counts["noise"])
        if not verdicts:
            click.echo("no series has a cost yet: nothing was judged")
        click.echo(
            f"{held} of {len(verdicts)} series within {100 * limit:g} % of their {against}{' night' if against == 'previous' else ''}, {len(unjudged)} not judged"
        )
    failed = counts["tripped"] + (unjudged if require_baseline else [])
    if require_baseline and not verdicts:
        raise GateError("no series has a cost, so none has a baseline: has a night been measured, and built?")
    if failed:
        lines = [verdict.sentence() for verdict in failed[:_LISTED]]
        more = [f"and {len(failed) - _LISTED} more: --json has all"] if len(failed) > _LISTED else []
        raise GateError("\n".join([f"the gate has tripped on {len(failed)} of {len(verdicts)} series:", *lines, *more]))
