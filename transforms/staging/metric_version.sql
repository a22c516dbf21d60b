-- staging.metric_version: the version of the definitions that these files implement.
-- grain: metric_version
-- columns: metric_version. Equal to METRIC_VERSION of schemas/columns.py (held by a test).
select 4 as metric_version,
