"""`ratecard publish`: what is in the warehouse, carried on to Parquet, Postgres, or a FOCUS file."""

import os
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import click

from flows.options import SectionedCommand, home_option, in_section, json_option
from schemas.errors import UsageError

_WHAT, _WHO = "Which charges", "Names that Ratecard does not know"


@click.group()
def publish() -> None:
    """Carry the warehouse on to where other tools read it: Parquet, Postgres, FOCUS.

    `warehouse.duckdb` in the data home is itself such a feed, written by every build (docs/bi.md).
    """


def _tables(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()] if value else []


tables_option = click.option(
    "--tables", metavar="A,B", callback=_tables, help="Only these curated tables.  [default: all]"
)


@publish.command()
@click.argument("directory", type=click.Path(path_type=Path))
@tables_option
@home_option
@json_option
def parquet(directory: Path, tables: list[str], home: str | None, as_json: bool) -> None:
    """Write the curated tables as Parquet below DIRECTORY, by day, and swap it in whole.

    DIRECTORY/TABLE/run_date=2026-11-20/part-….parquet. What did not change keeps its file. A directory that is not an
    earlier export, or holds other files too, is left as it is.

    \b
    Examples:
      ratecard publish parquet /srv/ratecard
      ratecard publish parquet /srv/ratecard --tables operating_points,cost_ledger --json
    """
    from warehouse.feeds.parquet import export
    from warehouse.home import resolve

    made = [asdict(table) for table in export(resolve(home), directory, tables)]
    files, kept = (sum(table[name] for table in made) for name in ("files", "files_kept"))
    _tell(made, as_json, f"wrote {directory}: {len(made)} tables, {files} files, {kept} of them as they were")


@publish.command()
@click.argument("dsn", required=False)
@click.option("--dsn-env", metavar="NAME", help="Take the DSN from this environment variable: nobody sees it in `ps`.")
@click.option("--schema", metavar="NAME", default="ratecard", show_default=True, help="Schema to publish to.")
@click.option(
    "--lock-wait",
    metavar="S",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Longest wait for those who are reading the old tables.",
)
@tables_option
@home_option
@json_option
def postgres(
    dsn: str | None,
    dsn_env: str | None,
    schema: str,
    lock_wait: float,
    tables: list[str],
    home: str | None,
    as_json: bool,
) -> None:
    """Replace the curated tables in a schema of a Postgres database, in one transaction.

    Grants, owners, comments, your indexes and your views on the tables stay. After an error everything is as it was.

    \b
    Examples:
      ratecard publish postgres postgresql://etl@db.example.com/bi
      DSN=postgresql://etl:secret@db.example.com/bi ratecard publish postgres --dsn-env DSN --schema llm_costs
    """
    from warehouse.feeds.postgres import publish as publish_to
    from warehouse.home import resolve

    made = publish_to(resolve(home), _dsn(dsn, dsn_env), schema=schema, names=tables, lock_wait_s=lock_wait)
    rows, views = sum(table.rows for table in made), sum(table.views for table in made)
    on_them = f", {views} views on them kept" if views else ""
    _tell(
        [asdict(table) for table in made], as_json, f"published {len(made)} tables, {rows} rows, to {schema}{on_them}"
    )


def _dsn(dsn: str | None, variable: str | None) -> str:
    if (dsn is None) == (variable is None):
        raise UsageError("give a DSN such as postgresql://USER@HOST/DATABASE, or --dsn-env NAME")
    if variable is None:
        return dsn or ""
    if not os.environ.get(variable):
        raise UsageError(f"--dsn-env {variable}: there is no such environment variable, or it is empty")
    return os.environ[variable]


def _day(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise click.BadParameter(f"found {value!r}, expected a day such as 2026-11-20") from None


@publish.command(cls=SectionedCommand)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@home_option
@json_option
@in_section(
    _WHAT,
    "--price-plan",
    "price_plans",
    metavar="NAME",
    multiple=True,
    help="This plan, again for more.  [default: all]",
)
@in_section(
    _WHAT,
    "--endpoint",
    "endpoints",
    metavar="NAME",
    multiple=True,
    help="This endpoint, again for more.  [default: all]",
)
@in_section(
    _WHAT, "--demand", "demands", metavar="NAME", multiple=True, help="This demand, again for more.  [default: all]"
)
@in_section(_WHAT, "--since", metavar="DAY", callback=_day, help="First day.  [default: the first]")
@in_section(_WHAT, "--until", metavar="DAY", callback=_day, help="Last day.  [default: the last]")
@in_section(
    _WHAT,
    "--allocation",
    "method",
    type=click.Choice(["processor_sharing", "price_ratio"]),
    default="processor_sharing",
    show_default=True,
    help="How work is split into input and output, where a fleet has both.",
)
@in_section(_WHO, "--provider", metavar="NAME", default="Ratecard", show_default=True, help="ProviderName.")
@in_section(_WHO, "--publisher", metavar="NAME", help="PublisherName.  [default: the provider]")
@in_section(_WHO, "--invoice-issuer", metavar="NAME", help="InvoiceIssuerName.  [default: the provider]")
def focus(file: Path, home: str | None, as_json: bool, **choice: Any) -> None:
    """Write the cost ledger as FOCUS 1.2 cost and usage into FILE (.csv or .parquet), checked against its rules.

    One row for each fleet, price plan, bucket and day with a night. The plans of a fleet, and the endpoints of a demand,
    are alternatives: choose one of each, or filter by BillingAccountId and x_Endpoint, before adding up.

    \b
    Examples:
      ratecard publish focus costs.csv --price-plan own-8gpu --endpoint llama-h100
      ratecard publish focus november.parquet --since 2026-11-01 --until 2026-11-30 --provider "LLM platform"
    """
    from warehouse.feeds.focus import Choice, export
    from warehouse.home import resolve

    made = export(resolve(home), file, Choice(**choice))
    said = f"wrote {made.path}: {made.rows} charges of {made.days} days, price plans {', '.join(made.price_plans) or 'none'}"
    _tell([asdict(made)], as_json, said)


def _tell(rows: list[dict[str, Any]], as_json: bool, said: str) -> None:
    from reports.tables import to_json

    click.echo(to_json(rows) if as_json else said)
