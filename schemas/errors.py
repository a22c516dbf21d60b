"""Every error of ours, as one tree; each message says what was wrong, where, and what to do.

    RatecardError                 exit code 1: the work failed
    ├── UsageError                exit code 2: wrong usage
    │   └── CatalogError          a mistake in a catalog file
    ├── EndpointError             the endpoint cannot be measured (unreachable, refused the key, no such model)
    ├── EndpointBusyError         another run holds the endpoint's lock
    ├── NightFailedError          a run of the night did not complete
    ├── GateError                 exit code 3: a cost rose by more than the gate lets through
    ├── LoadgenError              what stops a worker; a request that fails is none: it is a row
    │   ├── SpecError             the shard spec cannot be run as it is written
    │   ├── PartError             the Parquet part cannot be written
    │   └── WorkerError           a worker ended without its last word
    ├── LandingError              a part, a manifest or a folder that cannot be landed
    │   ├── PartRefusedError      a part with other columns or types than the contract: quarantined whole
    │   └── ResultFileError       a result file of another tool that cannot be imported
    ├── FeedError                 a feed (Parquet, Postgres, FOCUS) cannot be published
    └── WarehouseError            the warehouse cannot be built, published or asked
        └── BuildError            a table could not be built or is not what it promises
            └── OrderError        the SQL files refer to each other in a circle, or to a table that nobody makes

Standard library only: the load generator takes it along to machines that have little else.
"""


class RatecardError(Exception):
    """Base: shown to the user as its message alone, without a traceback."""

    exit_code = 1


class UsageError(RatecardError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class CatalogError(UsageError):
    """Mistakes in catalog files: one line each with file, line, field, found and expected."""


class EndpointError(RatecardError):
    """The endpoint cannot be measured."""


class EndpointBusyError(RatecardError):
    """Another run is measuring the endpoint."""


class NightFailedError(RatecardError):
    """At least one run of the night did not complete; the others did and are published. `run_ids` names them all."""

    def __init__(self, message: str, run_ids: list[str]) -> None:
        super().__init__(message)
        self.run_ids = run_ids


class GateError(RatecardError):
    """A cost rose by more than the gate lets through: the message names each series."""

    exit_code = 3


class LoadgenError(RatecardError):
    """A worker cannot do its work."""


class SpecError(LoadgenError):
    """The shard spec cannot be run as it is written."""


class PartError(LoadgenError):
    """The Parquet part cannot be written: full or read-only disk, missing folder."""


class WorkerError(LoadgenError):
    """A worker ended without telling how it went."""


class LandingError(RatecardError):
    """Data could not be landed; what had landed before is kept."""


class PartRefusedError(LandingError):
    """A part has other columns or types than the contract: no row of it can be judged."""


class ResultFileError(LandingError):
    """A result file of another tool cannot be imported: the message names file, line, field, what was expected and what to do."""


class FeedError(RatecardError):
    """A feed could not be published; what was published there before is untouched."""


class WarehouseError(RatecardError):
    """The warehouse could not be built, published or asked; the published file is untouched."""


class BuildError(WarehouseError):
    """A build stopped: the message names the table, what was expected, what was found and what to do."""


class OrderError(BuildError):
    """The order of the SQL files cannot be derived: a cycle, an unknown table, or SQL that does not parse."""
