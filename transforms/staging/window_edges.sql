-- staging.window_edges: the 11 edges of the 10 equal slices of each level's window.
-- grain: level_no, edge
-- columns: edge, 0 to 10; edge_ns. Levels with a window.
select
    levels.level_no,
    positions.edge,
    levels.window_started_ns
    + (levels.window_ended_ns - levels.window_started_ns) * positions.edge // 10 as edge_ns,
from staging.levels as levels
cross join (select unnest(range(11)) as edge,) as positions
where levels.window_started_ns is not null
