"""The flow `feeds`: carries what `build` has published on to the targets that its deployment names, each by itself.

A flow of its own after `build`, so that no feed can fail or delay a night, a build or a report. Each target is replaced
in whole or left as it was, and a build takes in all that has landed: what failed is made up for after the next one.
"""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from prefect import flow, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import FeedError, RatecardError, UsageError
from warehouse.feeds import focus, parquet, postgres
from warehouse.home import Home, resolve


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ParquetTarget(_Target):
    """A folder of Parquet files."""

    feed: Literal["parquet"]
    directory: str
    tables: list[str] = Field(default_factory=list, description="Empty: all curated tables")

    @property
    def place(self) -> str:
        """What is written to."""
        return self.directory

    def publish(self, home: Home) -> str:
        """Replace it; returns what was done."""
        made = parquet.export(home, Path(self.directory), self.tables)
        files, kept = sum(table.files for table in made), sum(table.files_kept for table in made)
        return f"{len(made)} tables, {files} files, {kept} of them as they were"


class PostgresTarget(_Target):
    """Tables in a schema of a Postgres database."""

    feed: Literal["postgres"]
    dsn_env: str = Field(
        description="Environment variable of the worker that holds the DSN, which Prefect shall not see"
    )
    schema_name: str = "ratecard"
    tables: list[str] = Field(default_factory=list, description="Empty: all curated tables")
    lock_wait_s: float = Field(60.0, ge=0, description="Longest wait for those who are reading the old tables")

    @property
    def place(self) -> str:
        """What is written to."""
        return f"{self.dsn_env}, schema {self.schema_name}"

    def publish(self, home: Home) -> str:
        """Replace it; returns what was done."""
        if not (dsn := os.environ.get(self.dsn_env)):
            raise UsageError(
                f"dsn_env {self.dsn_env}: there is no such environment variable where this runs, or it is empty"
            )
        made = postgres.publish(home, dsn, schema=self.schema_name, names=self.tables, lock_wait_s=self.lock_wait_s)
        return f"{len(made)} tables, {sum(table.rows for table in made)} rows"


class FocusTarget(_Target):
    """A FOCUS file, .csv or .parquet."""

    feed: Literal["focus"]
    file: str
    price_plans: list[str] = Field(default_factory=list, description="Empty: all, of which a fleet pays one")
    endpoints: list[str] = Field(default_factory=list, description="Empty: all")
    demands: list[str] = Field(default_factory=list, description="Empty: all")
    method: Literal["processor_sharing", "price_ratio"] = "processor_sharing"
    provider: str = "Ratecard"
    publisher: str | None = None
    invoice_issuer: str | None = None

    @property
    def place(self) -> str:
        """What is written to."""
        return self.file

    def publish(self, home: Home) -> str:
        """Replace it; returns what was done."""
        made = focus.export(home, Path(self.file), focus.Choice(**self.model_dump(exclude={"feed", "file"})))
        return f"{made.rows} charges of {made.days} days"


Target = Annotated[ParquetTarget | PostgresTarget | FocusTarget, Field(discriminator="feed")]


@task(name="feed", task_run_name="{target.feed}", cache_policy=NO_CACHE, persist_result=False)
async def carry(home: Home, target: Target) -> str:
    """Publish to one target; returns what was done."""
    return await asyncio.to_thread(target.publish, home)


@flow(name="feeds", persist_result=False)
async def feeds(home: str | None = None, targets: list[Target] | None = None) -> list[dict[str, Any]]:
    """Publish the warehouse of `home` to each of `targets`; returns a row for each, also as an artifact.

    Raises:
        FeedError: some could not be published; each of them is as it was, and the others are done.

    """
    at = resolve(home)
    rows = [await _tried(at, target) for target in targets or []]
    if not rows:
        print("no targets: nothing to publish to (prefect.yaml, deployment feeds)")
        return rows
    failed = [row for row in rows if row["status"] == "failed"]
    said = f"{len(failed)} of {len(rows)} failed" if failed else f"{len(rows)} published"
    await acreate_table_artifact(key="feeds", table=rows, description=f"Feeds of {at.root}: {said}")
    if failed:
        raise FeedError("\n".join(f"{row['feed']} ({row['to']}): {row['message']}" for row in failed))
    return rows


async def _tried(home: Home, target: Target) -> dict[str, Any]:
    try:
        status, message = "published", await carry(home, target)
    except RatecardError as error:
        status, message = "failed", str(error)
    except Exception as error:  # whatever went wrong with one, the others get their turn
        status, message = "failed", f"{type(error).__name__}: {error}"
    return {"feed": target.feed, "to": target.place, "status": status, "message": message}
