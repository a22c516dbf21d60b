-- staging.mix_rates: how many requests of each class of a mix an instance of each endpoint serves within the SLO.
-- grain: mix_id, workload, endpoint
-- columns: class_share; status and the point of curated.best_operating_points; the endpoint's hardware that night;
--   rps_per_instance and token means of the chosen point, null where none was chosen, and for a pool (prefill, decode),
--   which cannot serve a request by itself. A class that nobody measured is one row without an endpoint.
--   A point counts if it was judged by the SLO that the demand means, also where another snapshot of the catalog words
--   it alike.
with demands as (
    select * from staging.mix_demands
),

worded as (
    select
        slos.catalog_hash,
        slos.slo,
        [
            slos.attainment_share::varchar,
            slos.max_error_share::varchar,
            slos.min_quality_score::varchar,
            list(
                [bounds.metric, bounds.statistic, bounds.limit_value::varchar] order by bounds.bound_index
            )::varchar,
        ]::varchar as words,
    from raw.slos as slos
    left join raw.slo_bounds as bounds using (catalog_hash, slo)
    group by slos.catalog_hash, slos.slo, slos.attainment_share, slos.max_error_share, slos.min_quality_score
),

judged as (
    select
        best.*,
        worded.words,
    from curated.best_operating_points as best
    inner join worded using (catalog_hash, slo)
),

classes as (
    select
        demands.mix_id,
        demands.night,
        demands.slo,
        worded.words,
        classes.workload,
        classes.share as class_share,
    from demands
    inner join raw.demand_classes as classes using (catalog_hash, demand)
    inner join worded using (catalog_hash, slo)
)

select
    classes.mix_id,
    classes.workload,
    judged.endpoint,
    classes.class_share,
    case when hardware.role <> 'aggregated' then hardware.role || ' pool' else judged.status end as status,
    judged.run_id,
    judged.operating_point_id,
    hardware.model,
    hardware.accelerator,
    hardware.gpus_per_instance,
    hardware.gpus_per_server,
    hardware.power_kw_per_gpu,
    case
        when hardware.role = 'aggregated' and points.request_rps > 0
            then points.request_rps / nullif(points.instances_measured, 0)
    end as rps_per_instance,
    points.input_tokens_mean,
    points.cached_input_tokens_mean,
    points.output_tokens_mean,
    points.reasoning_tokens_mean,
from classes
left join judged using (night, workload, slo, words)
left join staging.hardware as hardware
    on
        judged.endpoint = hardware.endpoint
        and judged.workload = hardware.workload
        and judged.night = hardware.night
left join curated.operating_points as points on judged.operating_point_id = points.operating_point_id
