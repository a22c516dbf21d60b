"""The catalog's models: what to measure and what it costs, as strict pydantic models.

One module per YAML file of the catalog; `schemas.catalog_files` reads the files and turns every mistake into
file, line, field, found and expected. Units are in the field names or their descriptions.
"""

from pydantic import Field

from schemas.catalog.demands import Demand
from schemas.catalog.endpoints import Endpoint
from schemas.catalog.loads import Load
from schemas.catalog.slos import Slo
from schemas.catalog.suites import Suite
from schemas.catalog.workloads import Workload
from schemas.catalog_base import Model, Name
from schemas.prices import PricePlan


class Catalog(Model):
    """All of it; `schemas.catalog_files.load` checks that names refer to something."""

    endpoints: dict[Name, Endpoint] = Field(default_factory=dict)
    workloads: dict[Name, Workload] = Field(default_factory=dict)
    loads: dict[Name, Load] = Field(default_factory=dict)
    slos: dict[Name, Slo] = Field(default_factory=dict)
    demands: dict[Name, Demand] = Field(default_factory=dict)
    prices: dict[Name, PricePlan] = Field(default_factory=dict)
    suites: dict[Name, Suite] = Field(default_factory=dict)
