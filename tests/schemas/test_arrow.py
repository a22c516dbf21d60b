"""What a part of traces takes on disk, and what its footer says for whom."""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.traces import Level, simulate
from schemas.arrow import arrow_schema, write_options
from schemas.columns import REQUEST_TRACES


def test_a_gap_takes_no_more_than_2_2_bytes_and_queries_can_skip_row_groups(tmp_path: Path) -> None:
    # 16 streams, half a million gaps of 256 chunks a request, a jitter of 5 %: all that is landed of it, hashes included
    table, path = simulate(Level(5, 16, 500_000, 256)), tmp_path / "part.parquet"
    pq.write_table(table, path, row_group_size=1024, **write_options(REQUEST_TRACES))
    gaps = pc.sum(pc.list_value_length(table["gaps_us"])).as_py()
    assert path.stat().st_size / gaps <= 2.2
    # no schema of Arrow's own is stored: types and nullability are those of Parquet's
    assert pq.read_schema(path).equals(arrow_schema(REQUEST_TRACES))
    group = pq.read_metadata(path).row_group(0)
    known = {group.column(at).path_in_schema for at in range(group.num_columns) if group.column(at).is_stats_set}
    assert {"run_id", "level_index", "phase", "run_date", "endpoint"} <= known and "prompt_sha256" not in known
