"""What the warehouse file says of itself."""

from schemas.columns.identity import VERSION_COLUMN
from schemas.columns.table import N, R, Table

BUILD = Table(
    "meta",
    "build",
    ("built_at",),
    "One row: how this file was built.",
    (
        R("built_at", "TIMESTAMP", "Last build (UTC)"),
        R(
            "structure",
            "VARCHAR",
            "Hash of the tables and macros; an incremental build starts from a file with its own",
        ),
        N("catalog_override", "VARCHAR", "Hash of the catalog that priced every night (what-if); null: each its own"),
        R("whole_bytes", "BIGINT", "Size of the file when it was last written in one go", "bytes"),
        R("whole_rows", "BIGINT", "Rows of all curated tables then", "1"),
    ),
)

INPUTS = Table(
    "meta",
    "inputs",
    ("manifest",),
    "From what this file was built: one row for each closed attempt of a run.",
    (
        R("manifest", "VARCHAR", "Path of its manifest below raw/manifests"),
        R("fingerprint", "VARCHAR", "Size and time of the manifest, and of what else is said of the attempt"),
        R("night", "TIMESTAMP", "Scheduled start of its night (UTC)"),
        R("is_archived", "BOOLEAN", "Rows of its night are those of its archive: traces were thinned or dropped"),
        VERSION_COLUMN,
        R("built_at", "TIMESTAMP", "Build that made the rows of its night (UTC)"),
    ),
)

INPUT_PARTS = Table(
    "meta",
    "input_parts",
    ("part",),
    "The parts that those attempts landed.",
    (
        R("manifest", "VARCHAR", "Attempt that landed it"),
        R("part", "VARCHAR", "Path below the home"),
        R("fingerprint", "VARCHAR", "Size and time of the file when its hash was last checked"),
    ),
)

META_TABLES = (BUILD, INPUTS, INPUT_PARTS)
"""What the warehouse file says of itself, schema `meta`."""
