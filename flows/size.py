"""`ratecard size`: a fleet for a demand, from what was measured; its terminal answer, JSON, and workbook."""

from pathlib import Path
from typing import Any

import click

from flows.options import COUNT, POSITIVE, SectionedCommand, home_option, in_section
from schemas.errors import RatecardError

_DEMAND, _MONEY, _OUT = "The demand", "What it costs", "The answer"


@click.command(cls=SectionedCommand)
@click.option("--endpoint", metavar="NAME", required=True, help="Endpoint that was measured.")
@click.option("--slo", metavar="NAME", required=True, help="SLO that its operating point must meet.")
@click.option("--workload", metavar="NAME", help="Workload that was measured.  [default: the only one]")
@click.option(
    "--night", metavar="TIME", default="latest", show_default=True, help="Night, or its first digits: 2026-11-20."
)
@home_option
@in_section(_DEMAND, "--peak-rps", metavar="R", type=POSITIVE, required=True, help="Peak request rate.")
@in_section(_DEMAND, "--mean-rps", metavar="R", type=POSITIVE, help="Mean request rate.  [default: not known]")
@in_section(
    _DEMAND, "--peak-to-average", metavar="X", type=click.FloatRange(1), help="Or: the peak, in times the mean."
)
@in_section(
    _DEMAND,
    "--headroom",
    metavar="SHARE",
    type=click.FloatRange(0),
    help="Capacity above the peak; 0.1 is 10 %.  [default: 0]",
)
@in_section(_DEMAND, "--spares", metavar="N", type=click.IntRange(0), help="Spare instances.  [default: 0]")
@in_section(
    _DEMAND,
    "--uptime",
    metavar="SHARE",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the year that the fleet serves.  [default: 1]",
)
@in_section(_DEMAND, "--max-gpus", metavar="N", type=COUNT, help="Hard budget.")
@in_section(_DEMAND, "--max-instances", metavar="N", type=COUNT, help="Hard budget.")
@in_section(
    _MONEY,
    "--price-plan",
    "price_plans",
    metavar="NAME",
    multiple=True,
    help="Plan to price it with, again for more.  [default: all that fit]",
)
@in_section(_MONEY, "--catalog", metavar="DIR", help="Take price plans from this catalog.  [default: the night's own]")
@in_section(
    _OUT, "--json", "as_json", is_flag=True, help="Print JSON: an object with rows as the warehouse names them."
)
@in_section(
    _OUT,
    "--workbook",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a workbook (.xlsx) with live formulas.",
)
def size(
    endpoint: str,
    slo: str,
    workload: str | None,
    night: str,
    home: str | None,
    catalog: str | None,
    as_json: bool,
    workbook: Path | None,
    **demand: Any,
) -> None:
    """Size a fleet for a demand and price it: operating point, servers, three costs, ledger, sensitivity.

    Everything comes from the SQL of the nightly build, run over the measured point with this demand. Exit code 1 where
    no point can be run at; the answer then says why.

    \b
    Examples:
      ratecard size --endpoint llama-h100 --slo interactive --peak-rps 95 --mean-rps 40 --headroom 0.2 --spares 1
      ratecard size --endpoint llama-h100 --slo interactive --peak-rps 95 --price-plan own-8gpu --workbook tco.xlsx
    """
    from reports.sizing import sizing_json, sizing_text, verdict
    from reports.tables import to_json
    from schemas.catalog_files import load
    from warehouse.home import resolve
    from warehouse.size import size as ask_size
    from warehouse.sizing import Question

    given = {name: value for name, value in demand.items() if value is not None}
    given["price_plans"] = list(demand["price_plans"])
    question = Question(endpoint, slo, given, workload, night)
    sizing = ask_size(resolve(home), question, load(Path(catalog)) if catalog else None)
    click.echo(to_json(sizing_json(sizing)) if as_json else sizing_text(sizing))
    if sizing.fleet is None:
        raise RatecardError(f"no fleet: {verdict(sizing)}" if as_json else "no fleet")
    if workbook is not None:
        from reports.workbook import write_workbook

        write_workbook(sizing, workbook)
        if not as_json:
            click.echo(f"\nwrote {workbook}")
