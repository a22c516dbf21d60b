"""What all rows of a shard share: whose they are, and the instant that their times count from."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from loadgen import CLIENT_VERSION
from loadgen.clock_pair import clock_pair
from loadgen.spec import ShardSpec
from schemas.columns import REQUEST_TRACES, TRACE_SCHEMA_VERSION
from schemas.errors import SpecError

_NEEDED = (
    "run_id", "attempt", "suite", "endpoint", "workload", "load", "run_date", "level_index", "load_kind", "config_hash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Epoch:
    """The instant that a shard's times count from: on the monotonic clock, and in UTC to an exact microsecond."""

    monotonic_ns: int
    wall_at: datetime

    @classmethod
    def now(cls) -> "Epoch":
        """Pair the two clocks, as closely as a few tries allow."""
        mono, wall = clock_pair(9)
        wall_us, remainder_ns = divmod(wall, 1000)
        seconds, microseconds = divmod(wall_us, 1_000_000)
        wall_at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds, tzinfo=None)
        return cls(mono - remainder_ns, wall_at)


def row_constants(spec: ShardSpec, epoch: Epoch) -> dict[str, Any]:
    """The columns that all rows of a shard share. Raises SpecError where the identity does not fit the contract."""
    columns = {column.name for column in REQUEST_TRACES.columns}
    unknown = sorted(set(spec.identity) - columns)
    if unknown:
        raise SpecError(f"identity has {', '.join(unknown)}: no such column in {REQUEST_TRACES.name}")
    constants = {
        "concurrency": None,
        "request_rate": None,
        "model": spec.target.model,
        "api": spec.target.api,
        "client_version": CLIENT_VERSION,
        "schema_version": TRACE_SCHEMA_VERSION,
        **spec.identity,
        "shard": spec.shard,
        "epoch_wall_at": epoch.wall_at,
    }
    missing = [name for name in _NEEDED if constants.get(name) is None]
    if missing:
        raise SpecError(f"identity lacks {', '.join(missing)}")
    return constants | {"run_date": date.fromisoformat(str(constants["run_date"]))}
