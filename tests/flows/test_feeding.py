"""The flow `feeds`: what its deployment names is published, each target by itself.

Without Prefect, whose tasks' functions are called as they are; `test_deployments` runs it as a deployment does.
"""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from prefect.exceptions import ParameterTypeError

from flows import feeding
from flows.feeding import feeds
from schemas.errors import FeedError
from tests.curated import fleet, publish


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Artifacts that were made."""
    artifacts: list[dict[str, Any]] = []

    async def show(**artifact: Any) -> None:
        artifacts.append(artifact)

    monkeypatch.setattr("flows.feeding.carry", feeding.carry.fn)
    monkeypatch.setattr("flows.feeding.acreate_table_artifact", show)
    return artifacts


async def carried(home: Path, *targets: dict[str, Any]) -> list[dict[str, Any]]:
    return await feeds.fn(**feeds.validate_parameters({"home": str(home), "targets": list(targets)}))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return publish(tmp_path / "home", fleet(date(2026, 11, 20))).root


async def test_each_target_is_published_although_others_cannot_be(
    home: Path, shown: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BI_DSN", "postgresql://etl:s3cret@nowhere.invalid/bi")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("not ours")
    folder, file = tmp_path / "parquet", tmp_path / "costs.csv"
    with pytest.raises(FeedError) as caught:
        await carried(
            home,
            {"feed": "postgres", "dsn_env": "NOT_SET"},
            {"feed": "postgres", "dsn_env": "BI_DSN", "tables": ["cost_ledger"]},
            {"feed": "parquet", "directory": str(other)},
            {"feed": "parquet", "directory": str(folder), "tables": ["cost_ledger"]},
            {"feed": "focus", "file": str(file), "price_plans": ["own"], "provider": "LLM platform"},
        )
    said = str(caught.value).splitlines()
    assert said[0].startswith(
        "postgres (NOT_SET, schema ratecard): dsn_env NOT_SET: there is no such environment variable"
    )
    assert said[1].startswith("postgres (BI_DSN, schema ratecard): Postgres cannot be reached")
    assert f"parquet ({other}): " in str(caught.value)
    assert "s3cret" not in str(caught.value)
    [artifact] = shown
    assert artifact["description"] == f"Feeds of {home}: 3 of 5 failed"
    assert [row["status"] for row in artifact["table"]] == ["failed"] * 3 + ["published"] * 2
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]
    assert pl.read_parquet(folder / "cost_ledger").height == 9
    # stranded, headroom, spare and the like cost nothing here: four charges are left
    assert pl.read_csv(file).select("ProviderName").to_series().to_list() == ["LLM platform"] * 4


async def test_without_a_target_nothing_is_done_and_nothing_needs_to_be_there(
    shown: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert (await carried(tmp_path / "no home yet"), shown) == ([], [])


async def test_what_was_done_is_a_row(home: Path, shown: list[dict[str, Any]], tmp_path: Path) -> None:
    target = {"feed": "parquet", "directory": str(tmp_path / "out"), "tables": ["time_shares"]}
    [row] = await carried(home, target)
    assert row == {
        "feed": "parquet", "to": str(tmp_path / "out"), "status": "published",
        "message": "1 tables, 1 files, 0 of them as they were",
    }  # fmt: skip
    assert shown == [{"key": "feeds", "table": [row], "description": f"Feeds of {home}: 1 published"}]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"feed": "parquet", "dirctory": "x"}, "targets.0.parquet.dirctory: Extra inputs are not permitted"),
        ({"feed": "postgres"}, "targets.0.postgres.dsn_env: Field required"),
        ({"feed": "excel"}, "expected tags: 'parquet', 'postgres', 'focus'"),
    ],
)
def test_what_is_wrong_in_a_target_is_named(target: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterTypeError) as caught:
        feeds.validate_parameters({"targets": [target]})
    assert said in str(caught.value)
