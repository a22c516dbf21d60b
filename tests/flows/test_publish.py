"""`ratecard publish`: what it prints, as words and as JSON, and with which code it ends."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from benchmarks.postgres_server import binaries, server
from flows.cli import cli
from tests.curated import fleet, publish

TABLES = ["--tables", "cost_ledger,time_shares"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return publish(tmp_path / "home", fleet(date(2026, 11, 20))).root


def call(home: Path, *arguments: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(cli, ["publish", *map(str, arguments), "--home", str(home)], env=environment)


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return json.loads(result.output)  # type: ignore[no-any-return]


def test_parquet_tells_what_it_wrote_and_what_it_kept(home: Path, tmp_path: Path) -> None:
    made = rows(call(home, "parquet", tmp_path / "out", *TABLES, "--json"))
    assert [(row["table"], row["rows"], row["files"], row["files_kept"]) for row in made] == [
        ("time_shares", 1, 1, 0), ("cost_ledger", 9, 1, 0),
    ]  # fmt: skip
    again = call(home, "parquet", tmp_path / "out", *TABLES)
    assert again.output == f"wrote {tmp_path / 'out'}: 2 tables, 2 files, 2 of them as they were\n"


def test_focus_takes_names_and_days(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "focus.csv"
    choice = [
        "--provider",
        "LLM platform",
        "--invoice-issuer",
        "Finance",
        "--since",
        "2026-11-20",
        "--price-plan",
        "own",
    ]
    [made] = rows(call(home, "focus", target, *choice, "--json"))
    assert (made["rows"], made["first_day"], made["price_plans"]) == (4, "2026-11-20", ["own"])
    [row] = pl.read_csv(target).select("ProviderName", "PublisherName", "InvoiceIssuerName").unique().rows()
    assert row == ("LLM platform", "LLM platform", "Finance")
    said = call(home, "focus", target, "--until", "2026-11-19").output
    assert said == f"wrote {target}: 0 charges of 0 days, price plans none\n"


@pytest.mark.skipif(binaries() is None, reason="Postgres is not installed (apt-get install postgresql)")
def test_postgres_takes_its_dsn_from_the_environment(home: Path) -> None:
    with server() as started:
        arguments = ["postgres", "--dsn-env", "BI_DSN", "--schema", "bi", *TABLES]
        made = rows(call(home, *arguments, "--json", BI_DSN=started.dsn()))
        assert made == [
            {"table": "time_shares", "rows": 1, "views": 0},
            {"table": "cost_ledger", "rows": 9, "views": 0},
        ]
        assert call(home, *arguments, BI_DSN=started.dsn()).output == "published 2 tables, 10 rows, to bi\n"
        assert started.psql("select count(*) from bi.cost_ledger") == "9"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["postgres"], 2, "give a DSN such as postgresql://USER@HOST/DATABASE, or --dsn-env NAME"),
        (["postgres", "postgresql:///x", "--dsn-env", "X"], 2, "give a DSN"),
        (["postgres", "--dsn-env", "NOT_SET"], 2, "NOT_SET: there is no such environment variable"),
        (["postgres", "postgresql://u:s3cret@nowhere.invalid/x", *TABLES], 1, "Postgres cannot be reached"),
        (["parquet", "out", "--tables", "prices"], 2, "no curated table is called prices"),
        (["focus", "focus.xlsx"], 2, "FOCUS is written as .csv or .parquet"),
        (
            ["focus", "focus.csv", "--price-plan", "onw"],
            2,
            "no price plan in the ledger is called onw: choose from own",
        ),
        (["focus", "focus.csv", "--endpoint", "nobody"], 2, "no endpoint in the ledger is called nobody"),
        (["focus", "focus.csv", "--since", "yesterday"], 2, "expected a day such as 2026-11-20"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(home: Path, arguments: list[str], code: int, said: str) -> None:
    result = call(home, *arguments)
    assert result.exit_code == code
    assert said in result.output
    assert "Traceback" not in result.output
    assert "s3cret" not in result.output


def test_without_a_warehouse_it_says_how_to_make_one(tmp_path: Path) -> None:
    result = call(tmp_path / "nothing", "parquet", tmp_path / "out")
    assert result.exit_code == 1
    assert "no warehouse at" in result.output
    assert not (tmp_path / "out").exists()
