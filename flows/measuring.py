"""`ratecard run`, `plan` and `demo`: measures a suite, any server, or a small engine of our own; prints the rate card."""

import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from flows.options import (
    SectionedCommand,
    calibration_option,
    card_json_option,
    home_option,
    instant,
    json_option,
)
from flows.supervise import stay_supervised
from flows.what import planned, what
from schemas.errors import NightFailedError, RatecardError


@click.command(cls=SectionedCommand)
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

    stay_supervised()
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


@click.command(cls=SectionedCommand)
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


@click.command()
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
    stay_supervised()
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


def _myself() -> str:
    """How the user calls this command here."""
    command = Path(sys.executable).with_name("ratecard")
    if shutil.which("ratecard") == str(command):
        return "ratecard"
    return str(command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command)
