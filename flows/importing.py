"""`ratecard import`: results of other tools into the history, then the warehouse and a card of what came in."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.catalogs import catalog_folder
from flows.options import COUNT, POSITIVE, SectionedCommand, catalog_option, home_option, in_section, instant
from schemas.catalog import Catalog
from schemas.catalog.demands import Demand
from schemas.catalog.endpoints import Endpoint
from schemas.catalog_base import NAME_PATTERN
from schemas.catalog_files import load
from schemas.columns import IMPORT_TOOLS
from schemas.digest import digest
from schemas.errors import LandingError, ResultFileError, UsageError

if TYPE_CHECKING:  # imported when the command runs: --help needs none of it
    from reports.card import Card
    from warehouse.home import Home
    from warehouse.importers.land import Outcome
    from warehouse.importers.levels import Level, Said

_WHAT, _SAID, _WORTH, _OUT = "What was measured", "What the files do not say", "What it is worth", "The answer"
DEFAULT_PEAK_RPS = 10.0


@click.command(name="import", cls=SectionedCommand)
@click.argument("tool", metavar="TOOL", type=click.Choice(IMPORT_TOOLS))
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@home_option
@catalog_option
@in_section(
    _WHAT,
    "--endpoint",
    metavar="NAME",
    required=True,
    help="Endpoint that was measured; what the catalog says of it holds.",
)
@in_section(
    _WHAT,
    "--model",
    metavar="NAME",
    help="Model served.  [default: as the file or the catalog says, else the endpoint's name]",
)
@in_section(
    _WHAT, "--workload", metavar="NAME", help="Workload that was sent.  [default: by its lengths, as isl1024-osl128]"
)
@in_section(_WHAT, "--engine", metavar="NAME", help="Serving engine.")
@in_section(_WHAT, "--engine-version", metavar="V", help="Its version.")
@in_section(_WHAT, "--precision", metavar="NAME", help="Precision of the weights, as fp8.")
@in_section(_WHAT, "--accelerator", metavar="NAME", help="Such as h200; cpu for none.  [default: not known]")
@in_section(_WHAT, "--gpus-per-instance", metavar="N", type=COUNT, help="GPUs that one instance takes.  [default: 1]")
@in_section(_WHAT, "--gpus-per-server", metavar="N", type=COUNT, help="GPUs in one server.  [default: 8]")
@in_section(
    _WHAT, "--instances", "instances_measured", metavar="N", type=COUNT, help="Instances behind the URL.  [default: 1]"
)
@in_section(_WHAT, "--shares-prefix", is_flag=True, help="The prompts hit a prefix cache on purpose.")
@in_section(_SAID, "--concurrency", metavar="C", type=COUNT, help="Requests in flight.")
@in_section(_SAID, "--request-rate", metavar="R", type=POSITIVE, help="Or: scheduled arrivals a second.")
@in_section(_SAID, "--duration", "duration_s", metavar="S", type=POSITIVE, help="Length of the test (llmperf).")
@in_section(
    _SAID,
    "--night",
    metavar="TIME",
    callback=instant,
    help="Night that it belongs to, ISO 8601.  [default: the day of the test]",
)
@in_section(
    _WORTH,
    "--peak-rps",
    metavar="R",
    type=POSITIVE,
    help="Price it at this peak, where no demand of the catalog has its workload.  [default: 10]",
)
@in_section(_OUT, "--dry-run", is_flag=True, help="Say what would be imported; write nothing.")
@in_section(_OUT, "--no-build", is_flag=True, help="Land only: `ratecard build` makes the tables.")
@in_section(
    _OUT,
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON: {imported, errors, run_ids, operating_points, rate_card}.",
)
def import_results(
    tool: str,
    paths: tuple[Path, ...],
    home: str | None,
    catalog: str | None,
    dry_run: bool,
    no_build: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Take results of another TOOL into the history: AIPerf, GenAI-Perf, vLLM, SGLang, GuideLLM, LLMPerf, or a CSV.

    Requests land as traces, summaries as operating points marked imported_summary. Files of one sweep, given together or one
    after another, are the levels of one run; loading a file twice changes nothing. What cannot be true is refused or kept in
    quarantine/ with the reason. Folders and .gz are fine. Exit code 1 where something was refused; the rest is imported.

    \b
    Examples:
      ratecard import aiperf artifacts/my-run/profile_export.jsonl --endpoint llama-h100 --accelerator h100
      ratecard import vllm results/*conc*.json --endpoint minimax-h200 --accelerator h200 --gpus-per-instance 8
      ratecard import llmperf individual_responses.json --endpoint api --concurrency 5 --night 2023-12-20 --duration 60
      ratecard import csv points.csv --endpoint llama-h100 --night 2026-11-20
    """
    from warehouse.home import resolve
    from warehouse.importers.land import land
    from warehouse.importers.levels import Said
    from warehouse.importers.readers import read

    night: datetime | None = options["night"]
    said = Said(
        endpoint=_name("endpoint", options["endpoint"]),
        model=options["model"],
        workload=_name("workload", options["workload"]) if options["workload"] else None,
        night=night.astimezone(UTC).replace(tzinfo=None) if night else None,
        **{name: options[name] for name in ("concurrency", "request_rate", "duration_s")},
    )
    if said.concurrency and said.request_rate:
        raise UsageError("give --concurrency or --request-rate, not both")
    known = load(catalog_folder(catalog))
    endpoint = _endpoint(known, options)
    levels, unread = read(tool, list(paths), said)
    if dry_run:
        rows, refused = _planned(levels, said, endpoint)
        _answer(rows, [*map(str, unread), *refused], as_json)
        return
    at = resolve(home)
    at.prepare()
    outcomes = land(at, levels, said, endpoint, lambda workload: _money(known, workload, options["peak_rps"]))
    rows = [_row(outcome) for outcome in outcomes]
    errors = [*map(str, unread), *(o.message for o in outcomes if o.message)]
    run_ids = list(dict.fromkeys(o.run_id for o in outcomes if o.status in ("landed", "already there")))
    card = _built(at, run_ids) if run_ids and not no_build else None
    _answer(rows, errors, as_json, at, run_ids, card)


def _name(option: str, value: str) -> str:
    if not re.fullmatch(NAME_PATTERN, value):
        raise UsageError(
            f"--{option}: found {value!r}, expected a name of letters, digits, '.', '_' and '-', at most 64"
        )
    return value


def _endpoint(known: Catalog, options: dict[str, Any]) -> dict[str, Any]:
    """Facts of the endpoint: the catalog's, where it has one of that name, and over them the options."""
    entry = known.endpoints.get(options["endpoint"])
    facts = (entry or Endpoint(url="http://imported.invalid", model="-")).model_dump(mode="json")
    if entry is None:
        facts["model"] = None
    given = {
        name: options[name]
        for name in (
            "engine",
            "engine_version",
            "precision",
            "accelerator",
            "gpus_per_instance",
            "gpus_per_server",
            "instances_measured",
        )
        if options[name] is not None
    }
    if given.get("accelerator"):
        given["accelerator"] = given["accelerator"].lower()
    return facts | given | {"shares_prefix": options["shares_prefix"]}


def _money(known: Catalog, workload: str, peak_rps: float | None) -> Catalog:
    """SLOs, demands and prices: the catalog's own where it demands the workload, else a demand for each SLO of all workloads."""
    if any(demand.workload == workload for demand in known.demands.values()) and peak_rps is None:
        return known
    slos = {name: slo for name, slo in known.slos.items() if not slo.workloads or workload in slo.workloads}
    peak = peak_rps or DEFAULT_PEAK_RPS
    demands = {
        _demand_name(workload, slo): Demand(
            application=f"{peak:g} requests/s at peak", workload=workload, slo=slo, peak_rps=peak
        )
        for slo in slos
    }
    return Catalog(slos=slos, demands=demands, prices=known.prices)


def _demand_name(workload: str, slo: str) -> str:
    """Of one workload: the fleets of a night are told apart by their demands."""
    name = f"imported-{workload}-{slo}"
    return name if len(name) <= 64 else f"{name[:55]}-{digest(name)[:8]}"


def _planned(levels: list["Level"], said: "Said", endpoint: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    from warehouse.importers.runs import run_of

    rows, refused = [], []
    for level in levels:
        try:
            rows.append(
                _of_level(level) | {"run_id": run_of(level, said, endpoint)["run_id"], "status": "would be imported"}
            )
        except ResultFileError as error:
            refused.append(str(error))
    return rows, refused


def _of_level(level: "Level") -> dict[str, Any]:
    return {
        "source": str(level.source),
        "concurrency": level.concurrency,
        "request_rate": level.request_rate,
        "as": "request traces" if level.records else "imported_summary",
        "notes": level.notes,
    }


def _row(outcome: "Outcome") -> dict[str, Any]:
    return _of_level(outcome.level) | {
        "run_id": outcome.run_id,
        "status": outcome.status,
        "requests": outcome.requests,
        "quarantined": outcome.quarantined,
    }


def _built(home: "Home", run_ids: list[str]) -> "Card":
    from reports.card import read_card
    from reports.page import write_report
    from warehouse.build import build

    build(home)
    write_report(home)
    return read_card(home, run_ids)


def _answer(
    rows: list[dict[str, Any]], errors: list[str], as_json: bool, home: "Home | None" = None, run_ids: list[str] | None = None,
    card: "Card | None" = None,
) -> None:  # fmt: skip
    """Print what came in and what did not; raises LandingError where something did not."""
    from reports.card import card_text
    from reports.tables import plain_table, to_json

    if as_json:
        click.echo(
            to_json({"imported": rows, "errors": errors, "run_ids": run_ids or [], **(card.as_json() if card else {})})
        )
    elif rows:
        names = [name for name in rows[0] if name != "notes" and any(row[name] is not None for row in rows)]
        click.echo(plain_table(names, [[row[name] for name in names] for row in rows], "Imported"))
        for note in dict.fromkeys(f"{row['source']}: {note}" for row in rows for note in row["notes"]):
            click.echo(f"note: {note}")
        if home is not None and any(row["quarantined"] for row in rows):
            click.echo(f"note: what was rejected is in {home.quarantine}, each with its reason")
    if card is not None and home is not None and not as_json:
        click.echo(f"\n{card_text(card)}\n\nreport      {home.report}\nwarehouse   {home.warehouse}")
    if errors:
        raise LandingError("not imported:\n" + "\n".join(f"  {error}" for error in errors))
