"""`ratecard init`, `doctor` and `serve`: a catalog to start from, a check of what is there, and every night from then on."""

from pathlib import Path

import click

from flows.options import catalog_option, home_option, json_option
from flows.supervise import stay_supervised
from schemas.errors import RatecardError


@click.command()
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


@click.command()
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


@click.command()
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

    stay_supervised()
    at, folder = resolve(home), catalog_folder(catalog)
    load(folder)  # what is wrong shows now, not at night
    at.prepare()
    # for the flow runs: each is a process of its own
    os.environ |= {"RATECARD_HOME": str(at.root), "RATECARD_CATALOG": str(folder.absolute())}
    # the log of a night that nobody watches is wanted
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")
    os.environ.setdefault("PREFECT_LOGGING_ROOT_LEVEL", "WARNING")
    quiet_prefect()
    from flows.serve import serve

    asyncio.run(serve(at, folder.absolute(), port, lambda line: click.echo(line, err=True)))
