"""`ratecard store`: what lies in `raw/`."""

import click

from flows.options import home_option, json_option


@click.group()
def store() -> None:
    """Look after what lies in raw/."""


@store.command()
@home_option
@json_option
def check(home: str | None, as_json: bool) -> None:
    """Hash every landed part against its manifest: exit code 1 where one is missing or has changed.

    A build checks the parts of the nights that it makes; this checks all, which reads every byte of raw/.

    \b
    Example:
      ratecard store check
    """
    from reports.tables import to_json
    from schemas.errors import WarehouseError
    from warehouse import manifests
    from warehouse.home import resolve

    at = resolve(home)
    closed = manifests.read_all(at)
    problems = [problem for manifest in closed for problem in manifests.check_parts(at, manifest)]
    parts = sum(part["path"] is not None for manifest in closed for part in manifest.parts)
    if as_json:
        click.echo(to_json([{"problem": problem} for problem in problems]))
    else:
        click.echo(f"{parts} parts of {len(closed)} runs checked, {len(problems)} not as they landed")
    if problems:
        raise WarehouseError("\n".join([*problems, manifests.RESTORE]))
