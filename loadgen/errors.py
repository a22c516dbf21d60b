"""What can stop a worker. A request that fails is no error here: it is a row.

LoadgenError
├── SpecError      the shard spec cannot be run as it is written
└── PartError      the part cannot be written (full or read-only disk, missing folder)
"""


class LoadgenError(Exception):
    """Base of the load generator's errors; the message says what was wrong and what to do."""


class SpecError(LoadgenError):
    """The shard spec cannot be run as it is written."""


class PartError(LoadgenError):
    """The Parquet part cannot be written."""
