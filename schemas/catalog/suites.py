"""Suites of the catalog (suites.yaml): what one night measures."""

from typing import Annotated

from pydantic import Field

from schemas.catalog_base import Model, Name


class Measurements(Model):
    """Every endpoint x workload x load of the three lists."""

    endpoints: Annotated[list[Name], Field(min_length=1)]
    workloads: Annotated[list[Name], Field(min_length=1)]
    loads: Annotated[list[Name], Field(min_length=1)]


class Suite(Model):
    """What one night measures (suites.yaml)."""

    measure: Annotated[list[Measurements], Field(min_length=1)]
    schedule: Name | None = Field(None, description="Deployment that runs it, such as nightly; null: by hand")
