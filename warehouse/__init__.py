"""Where data lives: landing, quarantine, manifests, build, publish, and asking the published file.

`landing.py` alone moves parts from `incoming/` into `raw/`; `build.py` alone makes `warehouse.duckdb`. Nothing here
sends load, holds a formula (that is `transforms/`) or knows Prefect.
"""
