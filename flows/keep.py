"""`ratecard retention`: what the policy of the catalog does to old traces, or would do."""

from datetime import UTC, datetime

import click

from flows.options import catalog_option, home_option, json_option


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and touch nothing.")
@click.option(
    "--as-of",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Day that ages count to, as 2026-11-20.  [default: today, UTC, or the day of the last run, if that is earlier]",
)
@catalog_option
@home_option
@json_option
def retention(dry_run: bool, as_of: datetime | None, catalog: str | None, home: str | None, as_json: bool) -> None:
    """Compact, thin and drop old traces, by the rules of the catalog's retention.yaml; without a rule nothing is done.

    The curated tables stay whole: what a night's figures were is archived before a byte of its traces goes. Exit code 1
    where something could not be done; the rest is done then.

    \b
    Examples:
      ratecard retention --dry-run
      ratecard retention --dry-run --as-of 2027-11-20
      ratecard retention --json
    """
    from flows.catalogs import catalog_folder
    from reports.retention import retention_text
    from reports.tables import to_json
    from schemas.retention import load_policy
    from warehouse import retain
    from warehouse.home import resolve

    at, folder = resolve(home), catalog_folder(catalog)
    policy = load_policy(folder)

    def say(line: str) -> None:
        click.echo(line, err=True)

    day = as_of.date() if as_of else retain.as_of_today(at, policy, datetime.now(UTC).date(), say)
    outcomes = retain.would(at, policy, day) if dry_run else retain.apply(at, policy, day, say)
    if as_json:
        click.echo(to_json([outcome.as_row() for outcome in outcomes]))
    elif policy.rules:
        click.echo(retention_text(outcomes, day, dry_run=dry_run))
    else:
        click.echo(
            f"{folder} has no rule in retention.yaml: nothing is done (`ratecard init DIR` writes one to start from)"
        )
    retain.raise_problems(outcomes)
