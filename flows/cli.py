"""The `ratecard` command: reads arguments, calls the room that does the work, prints, and gives an exit code.

Exit codes: 0 ok, 1 the work failed, 2 wrong usage or catalog, 3 a regression or gate tripped.
"""

import json
import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from flows.feeds import publish
from flows.gate import gate
from flows.importing import import_results
from flows.keep import retention
from flows.options import (
    SectionedCommand,
    calibration_option,
    card_json_option,
    catalog_option,
    home_option,
    instant,
    json_option,
)
from flows.retract import retract
from flows.size import size
from flows.store import store
from flows.what import planned, what
from schemas.errors import NightFailedError, RatecardError, UsageError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


class _Group(click.Group):
    """Shows an error of ours as its message and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RatecardError as error:
            click.echo(f"ratecard: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Group, context_settings=CONTEXT)
@click.version_option(package_name="ratecard", prog_name="ratecard")
def cli() -> None:
    """Measure LLM endpoints; see operating points, server counts and cost per million tokens."""


cli.add_command(size)
cli.add_command(store)
cli.add_command(retract)
cli.add_command(publish)
cli.add_command(gate)
cli.add_command(retention)
cli.add_command(import_results)


def main() -> None:
    """Entry point of the `ratecard` command."""
    cli(prog_name="ratecard")


@cli.command()
@home_option
@click.option(
    "--sample",
    metavar="NAME",
    help="Measure nothing: take in the traces of a real GPU, such as h200, that come with the repository, and price them.",
)
@calibration_option
@card_json_option
def demo(home: str | None, sample: str | None, calibrate: bool, as_json: bool) -> None:
    """Measure a real engine on this machine and print its rate card.

    Starts llama.cpp's server with a small Llama of random weights, sweeps concurrency 1 to 16 through the Prefect
    flow, and takes about two minutes.

    \b
    Examples:
      ratecard demo --home /tmp/ratecard
      ratecard demo --sample h200 --home /tmp/h200
    """
    from flows.catalogs import starter
    from flows.settings import quiet_prefect

    if sample is not None:
        _show_sample(home, sample, as_json)
        return
    _supervise()
    quiet_prefect()
    from flows.night import NightParameters

    parameters = NightParameters(suite="demo", home=home, catalog=str(starter()), calibrate=calibrate)
    _measure(parameters, as_json)
    if not as_json:
        click.echo(
            "\nThe weights of this Llama are random: speeds are real, the text is noise. The dollars are this machine's\n"
            "at the invented demo price plans (catalog/prices.yaml), not those of any GPU.\n\n"
            "Next:\n"
            f'  {_myself()} sql "select concurrency, output_tps, ttft_p50_ms, validity from operating_points"\n'
            f"  {_myself()} run --url http://HOST:PORT --model NAME --concurrency 1,2,4,8,16\n"
            f"  {_myself()} init my-catalog"
        )


def _show_sample(home: str | None, sample: str, as_json: bool) -> None:
    """Take the sample in; print its rate card and write the report."""
    from flows.samples import take_in
    from reports.card import read_card
    from reports.page import write_report
    from warehouse.home import resolve

    at = resolve(home)
    run_ids = take_in(at, sample)
    card = read_card(at, run_ids)
    write_report(at)
    _show(at, run_ids, card, as_json)
    if not as_json:
        click.echo(
            "\nMeasured on a real GPU with random weights: speeds are real, the text is noise; demands are invented, prices are\n"
            "dated and say where they are from. What was learnt: docs/gpu-sample.md"
        )


@cli.command()
@click.argument("directory", type=click.Path(path_type=Path))
def init(directory: Path) -> None:
    """Write a commented catalog to start from into DIRECTORY.

    \b
    Example:
      ratecard init catalog && $EDITOR catalog/endpoints.yaml
    """
    from flows import catalogs

    for path in catalogs.init(directory):
        click.echo(f"wrote {path}")
    click.echo(f"Next: edit {directory / 'endpoints.yaml'}, then: ratecard plan nightly --catalog {directory}")


@cli.command(cls=SectionedCommand)
@what
@click.option(
    "--night",
    metavar="TIME",
    callback=instant,
    help="Scheduled night that the run belongs to, ISO 8601, UTC unless it says otherwise.  [default: now]",
)
@click.option(
    "--wait",
    metavar="S",
    type=click.FloatRange(0),
    default=600.0,
    show_default=True,
    help="Longest wait for an endpoint in use.",
)
@click.option("--again", is_flag=True, help="Measure even what --night has already: the new attempt supersedes.")
@calibration_option
@card_json_option
def run(night: datetime | None, wait: float, again: bool, calibrate: bool, as_json: bool, **options: Any) -> None:
    """Measure SUITE of the catalog, or any server with --url, and print the rate card.

    A night that is already measured is not measured again (--night), unless it was retracted or with --again; what was
    measured when a run is interrupted is kept.

    \b
    Examples:
      ratecard run nightly
      ratecard run --url http://localhost:8000 --model my-model --concurrency 1,2,4,8,16
      ratecard run --url https://api.example.com/v1 --model m --api-key-env API_KEY --rate 1,2,5 --duration 60
      ratecard run --url http://localhost:8000 --model my-model --search goodput --slo interactive
    """
    from flows.settings import quiet_prefect
    from warehouse.home import resolve

    _supervise()
    with tempfile.TemporaryDirectory(prefix="ratecard-") as folder:
        # what is wrong shows before Prefect starts
        suite, schedule, catalog, _ = planned(options, Path(folder))
        resolve(options["home"]).prepare()
        quiet_prefect()
        from flows.night import NightParameters

        parameters = NightParameters(
            suite=suite,
            schedule=schedule,
            home=options["home"],
            catalog=str(catalog),
            night=night,
            wait_s=wait,
            again=again,
            calibrate=calibrate,
        )
        _measure(parameters, as_json)


@cli.command(cls=SectionedCommand)
@what
@json_option
def plan(as_json: bool, **options: Any) -> None:
    """Show what `run` would do: levels, requests and how long. Sends nothing.

    \b
    Examples:
      ratecard plan demo
      ratecard plan --url http://localhost:8000 --model my-model --concurrency 1,8,64 --requests 500
      ratecard plan --url http://localhost:8000 --model my-model --trace code.csv --trace-format azure --speed 1,2
    """
    from flows.plans import plan_rows, plan_summary
    from reports.plan import pace
    from reports.tables import plain_table, to_json
    from warehouse.home import resolve

    with tempfile.TemporaryDirectory(prefix="ratecard-") as folder:
        *_, plans = planned(options, Path(folder))
    rows = plan_rows(plans, pace(resolve(options["home"])))
    if as_json:
        click.echo(to_json(rows))
    else:
        known = [name for name in rows[0] if any(row[name] is not None for row in rows)]
        click.echo(plain_table(known, [[row[name] for name in known] for row in rows], "Plan"))
        click.echo(f"\n{plan_summary(plans, rows)}")


@cli.command()
@home_option
@click.option(
    "--catalog", metavar="DIR", help="Price all of history with this catalog's SLOs, demands and prices (what-if)."
)
@click.option("--recompute", is_flag=True, help="Make every night anew from raw/ alone, and check every part's hash.")
@json_option
def build(home: str | None, catalog: str | None, recompute: bool, as_json: bool) -> None:
    """Bring the warehouse and the report up to date with raw/: the nights that changed are made anew.

    Without --catalog every night keeps the SLOs, demands and prices that it was measured with. All nights are made
    where that is asked for, and where the warehouse is missing, damaged or of another version.

    \b
    Examples:
      ratecard build
      ratecard build --recompute
      ratecard build --catalog my-catalog
    """
    from reports.page import write_report
    from schemas.catalog_files import load
    from warehouse import recovery
    from warehouse.build import build as build_warehouse
    from warehouse.home import resolve

    at = resolve(home)
    at.prepare()
    for line in recovery.recover(at):
        click.echo(line, err=True)
    built = build_warehouse(at, load(Path(catalog)) if catalog else None, recompute=recompute)
    if catalog:
        click.echo(f"priced all of history with {catalog}; `ratecard build` goes back to each night's own", err=True)
    for note in built.notes:
        click.echo(note, err=True)
    counts = {name.removeprefix("curated."): rows for name, rows in built.rows.items()}
    if as_json:
        click.echo(json.dumps([{"table": name, "rows": rows} for name, rows in counts.items()]))
    else:
        listed = ", ".join(f"{name} {rows}" for name, rows in counts.items())
        click.echo(f"built {built.path} from {built.runs} runs: {built.what()}. Rows: {listed}")
    report_path = write_report(at)
    if not as_json:
        click.echo(f"wrote {report_path}")


@cli.command()
@click.argument("query")
@home_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
def sql(query: str, home: str | None, as_csv: bool, as_json: bool) -> None:
    """Ask the warehouse; QUERY is DuckDB SQL, read-only. Tables need no schema in front.

    \b
    Examples:
      ratecard sql "show tables"
      ratecard sql "select endpoint, concurrency, output_tps, ttft_p50_ms from operating_points" --csv
      ratecard sql "select * from size_fleet(95, 10, 2, 8)" --json
    """
    from reports.tables import as_csv_text, plain_table, to_json
    from warehouse.ask import ask
    from warehouse.home import resolve

    if as_csv and as_json:
        raise UsageError("give --csv or --json, not both")
    answer = ask(resolve(home), query)
    if as_json:
        click.echo(to_json(answer.objects()))
    elif as_csv:
        click.echo(as_csv_text(answer.columns, answer.rows), nl=False)
    else:
        click.echo(plain_table(answer.columns, answer.rows))


@cli.command()
@home_option
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path), help="Where to write.  [default: HOME/report.html]"
)
def report(home: str | None, out: Path | None) -> None:
    """Write the HTML report: one page, no outside request.

    \b
    Example:
      ratecard report --out /tmp/report.html
    """
    from reports.page import write_report
    from warehouse.home import resolve

    click.echo(f"wrote {write_report(resolve(home), out)}")


@cli.command()
@catalog_option
@home_option
@click.option("--quick", is_flag=True, help="Leave out the client's own error (about 10 s).")
@json_option
def doctor(catalog: str | None, home: str | None, quick: bool, as_json: bool) -> None:
    """Check this machine, the data home, Prefect, and each endpoint of the catalog (two short requests each).

    Exit code 1 where a check failed; a warning is none.

    \b
    Examples:
      ratecard doctor
      ratecard doctor --catalog my-catalog --quick
    """
    import asyncio
    from dataclasses import asdict

    from flows.doctor import CHECKED, examine
    from flows.settings import quiet_prefect
    from reports.tables import plain_table, to_json
    from warehouse.home import resolve

    quiet_prefect()
    checks = asyncio.run(examine(resolve(home), catalog, quick=quick))
    if as_json:
        click.echo(to_json([asdict(check) for check in checks]))
    else:
        click.echo(plain_table(CHECKED, [list(asdict(check).values()) for check in checks], "Doctor"))
    if failed := sum(check.status == "failed" for check in checks):
        raise RatecardError(f"{failed} of {len(checks)} checks failed")


@cli.command()
@home_option
@catalog_option
@click.option(
    "--port", type=click.IntRange(1, 65535), default=4200, show_default=True, help="Of the server and its UI."
)
def serve(home: str | None, catalog: str | None, port: int) -> None:
    """Run every night: a Prefect server and all deployments of prefect.yaml, until Ctrl-C.

    Uses the server that PREFECT_API_URL names, or starts one on this machine. Reads ./prefect.yaml, or the file that
    ships with Ratecard. No work pool, no worker. Whatever runs when it ends lands what it has.

    \b
    Examples:
      ratecard serve --home /var/lib/ratecard --catalog /etc/ratecard
      PREFECT_API_URL=http://prefect:4200/api ratecard serve
    """
    import asyncio
    import os

    from flows.catalogs import catalog_folder
    from flows.settings import quiet_prefect
    from schemas.catalog_files import load
    from warehouse.home import resolve

    _supervise()
    at, folder = resolve(home), catalog_folder(catalog)
    load(folder)  # what is wrong shows now, not at night
    at.prepare()
    # for the flow runs: each is a process of its own
    os.environ |= {"RATECARD_HOME": str(at.root), "RATECARD_CATALOG": str(folder.absolute())}
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")  # the log of a night that nobody watches is wanted
    quiet_prefect()
    from flows.serve import serve

    asyncio.run(serve(at, port, lambda line: click.echo(line, err=True)))


def _myself() -> str:
    """How the user calls this command here."""
    command = Path(sys.executable).with_name("ratecard")
    if shutil.which("ratecard") == str(command):
        return "ratecard"
    return str(command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command)


def _supervise() -> None:
    """Carry on only in the watched child; the parent ends here with its exit code."""
    from flows.supervise import run_supervised, supervised

    if not supervised():
        sys.exit(run_supervised(sys.argv[1:]))


def _measure(parameters: Any, as_json: bool) -> None:
    """Run the flow; print the rate card of what was measured, also where some of it failed."""
    import asyncio

    from flows.night import night
    from flows.prefect_api import reach_prefect
    from reports.card import read_card
    from reports.moved import said, standing
    from warehouse.home import resolve

    home, failed = resolve(parameters.home), None
    reach_prefect()
    try:
        run_ids = asyncio.run(night(parameters))
    except NightFailedError as error:
        failed, run_ids = error, error.run_ids
    try:
        card = read_card(home, run_ids)
    except RatecardError:
        if failed is None:
            raise
        raise failed from None  # nothing was published, and it says why
    _show(home, run_ids, card, as_json, moved="" if as_json else said(standing(home, run_ids)))
    if failed is not None:
        raise failed


def _show(home: Any, run_ids: list[str], card: Any, as_json: bool, moved: str = "") -> None:
    """Print the rate card, what has `moved`, and where everything lies; or the card as JSON."""
    from reports.card import card_text
    from reports.tables import to_json

    if as_json:
        click.echo(to_json({"run_ids": run_ids, **card.as_json()}))
        return
    paths = f"report      {home.report}\nwarehouse   {home.warehouse}\nraw traces  {home.raw}"
    click.echo("\n" + "\n\n".join(filter(None, [card_text(card), moved, paths])))
