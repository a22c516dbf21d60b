"""The load generator: sends load and stamps arrivals. Knows nothing of Prefect, DuckDB, pandera or polars.

`plan.py` turns catalog models into a RunPlan of LevelPlans and ShardSpecs; `python -m loadgen SPEC.json` runs one
shard in a process of its own and lands one Parquet part; everything in between (transport, SSE, recording,
prompts) serves that.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    CLIENT_VERSION = version("ratecard")
except PackageNotFoundError:  # run from a bare checkout on a machine without the package
    CLIENT_VERSION = "0+unknown"
