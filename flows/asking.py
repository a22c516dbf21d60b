"""`ratecard build`, `sql` and `report`: brings the warehouse up to date, asks it, and shows it."""

import json
from pathlib import Path

import click

from flows.options import home_option, json_option
from schemas.errors import UsageError


@click.command()
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


@click.command()
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


@click.command()
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
