-- staging.statistics: the percentiles that are kept, and the least samples that each needs (docs/metrics.md).
-- grain: statistic
-- columns: position (in the lists of staging.latency_statistics), statistic, probability, min_samples
-- Equal to STATISTICS and MIN_SAMPLES of schemas/columns.py, without the mean (held by a test).
select
    position,
    statistic,
    cast(probability as double) as probability,
    min_samples,
from (
    values
    (1, 'p50', 0.5, 11),
    (2, 'p75', 0.75, 24),
    (3, 'p90', 0.9, 64),
    (4, 'p95', 0.95, 130),
    (5, 'p99', 0.99, 662),
    (6, 'p99_9', 0.999, 6636)
) as kept (position, statistic, probability, min_samples)
