-- curated.regressions: what moved the cost of a series, by how much, how sure, since when, and what else changed then
-- (docs/trends.md).
-- grain: series_id, night
-- spans: nights
-- columns: comments in schemas/columns.py. A change of performance is one of curated.change_points, larger than the
--   series' own noise; changes of prices and of what is asked are known exactly, from curated.cost_trends. Each is told
--   on the night it was found (is_new) and for as long as it is not the new normal: 14 valid nights. Where several
--   hold, the row is the new one's (performance before what is known exactly), or else the largest's; the others are
--   in its column also.
-- assertions (regressions.test.sql): a change is found once, and not before it began
with scope as (
    select
        since,
        since - interval 20 days as recent,
        since - interval 400 days as earliest,
    from raw.build_scope
),

-- not materialized: few of its columns are read, of many nights
trends as not materialized (
    select trends.*
    from curated.cost_trends as trends
    cross join scope
    where trends.value_usd is not null and trends.night >= scope.earliest
),

tonight as materialized (
    select trends.*
    from trends
    cross join scope
    where trends.night >= scope.since
),

changed as materialized (
    select
        tonight.series_id,
        tonight.night,
        points.change_id as regression_id,
        points.state,
        points.first_night,
        points.step_night,
        points.direction,
        points.change_share as performance_change_share,
        -- what tonight's cost would be at the baseline's performance
        tonight.value_usd * points.baseline_value / points.performance_value as at_baseline_usd,
        points.change_sigmas,
        points.confidence,
    from tonight
    inner join curated.change_points as points
        on tonight.performance_id = points.performance_id and tonight.night = points.night
    where points.state in ('open', 'settled')
),

-- as above
effects as not materialized (
    select
        series_id,
        night,
        price_plan,
        demand,
        previous_value_usd,
        price_effect_usd,
        scope_effect_usd,
    from trends
),

recent as materialized (
    select effects.*
    from effects
    cross join scope
    where effects.night >= scope.recent
),

-- fewer valid nights than until a change is the new normal: only those series are followed further
short as materialized (
    select recent.series_id
    from recent
    cross join scope
    group by recent.series_id
    having max(recent.night) >= any_value(scope.since) and count(*) filter (where recent.night < scope.since) < 13
),

-- no row where no series is short: then no older night is read
further as materialized (
    select min(scope.recent) as recent
    from scope
    cross join short
    having count(*) > 0
),

lately as materialized (
    select * from recent
    union all
    select effects.*
    from effects
    cross join further
    semi join short on effects.series_id = short.series_id
    where effects.night < further.recent
),

known as materialized (
    select
        series_id,
        night,
        'price' as cause,
        price_plan as what,
        price_effect_usd as effect_usd,
    from lately
    where abs(price_effect_usd) >= 0.001 * previous_value_usd
    union all
    select
        series_id,
        night,
        'scope' as cause,
        demand as what,
        scope_effect_usd as effect_usd,
    from lately
    where abs(scope_effect_usd) >= 0.01 * previous_value_usd
),

-- of each series, the first of the 13 valid nights before the new ones: what is older is the new normal
fresh as materialized (
    select
        lately.series_id,
        list_min(max(lately.night, 13)) as since,
    from lately
    cross join scope
    where lately.night < scope.since and lately.series_id in (select series_id from known)
    group by lately.series_id
),

exact_steps as materialized (
    select known.*
    from known
    left join fresh using (series_id)
    where known.night >= coalesce(fresh.since, known.night)
),

moved as materialized (
    select
        series_id,
        min(step_night) as step_night,
    from (
        select series_id, step_night from changed
        union all
        select series_id, night from exact_steps
    ) as steps
    group by series_id
),

earliest_step as materialized (
    select min(step_night) - interval 30 days as shortly_before from moved
),

-- a step is held against the two valid nights before it: what is older is nobody's concern
near as materialized (
    select
        trends.series_id,
        max(trends.night, 3) as nights,
    from trends
    cross join earliest_step
    inner join moved on trends.series_id = moved.series_id and trends.night <= moved.step_night
    where trends.night >= earliest_step.shortly_before
    group by trends.series_id
),

-- measured seldom, if there are any: none, and no older night is read
seldom as materialized (
    select
        moved.series_id,
        moved.step_night,
    from moved
    left join near using (series_id)
    where coalesce(len(near.nights), 0) < 3
),

reached as materialized (
    select
        series_id,
        list_min(nights) as from_night,
    from near
    where len(nights) = 3
    union all
    select
        trends.series_id,
        list_min(max(trends.night, 3)) as from_night,
    from trends
    inner join seldom on trends.series_id = seldom.series_id and trends.night <= seldom.step_night
    group by trends.series_id
),

-- the order of joins must not be turned round: all nights of a series against each other are many
nights as materialized (
    select
        trends.series_id,
        trends.night,
        trends.run_id,
        trends.previous_value_usd,
        trends.performance_effect_usd,
        trends.price_effect_usd,
        trends.scope_effect_usd,
        row_number() over (partition by trends.series_id order by trends.night) as night_no,
    from trends
    inner join reached on trends.series_id = reached.series_id and trends.night >= reached.from_night
),

performance as materialized (
    select
        changed.* exclude (step_night),
        'performance' as cause,
        began.night_no as step_no,
        began.night_no - 2 as from_no,
    from changed
    inner join nights as began on changed.series_id = began.series_id and changed.step_night = began.night
),

exact as (
    select
        nights.series_id,
        nights.night,
        steps.cause,
        concat(steps.cause, '/', steps.what, '@', strftime(steps.night, '%Y-%m-%dT%H:%M:%S')) as regression_id,
        case when nights.night_no - began.night_no = 13 then 'settled' else 'open' end as state,
        steps.night as first_night,
        began.night_no as step_no,
        began.night_no - 1 as from_no,
        began.night_no as to_no,
        case when steps.effect_usd > 0 then 'worse' else 'better' end as direction,
        null::double as performance_change_share,
        null::double as at_baseline_usd,
        null::double as change_sigmas,
        1.0 as confidence,
    from exact_steps as steps
    cross join scope
    inner join nights as began on steps.series_id = began.series_id and steps.night = began.night
    inner join nights
        on steps.series_id = nights.series_id and nights.night_no between began.night_no and began.night_no + 13
    where nights.night >= scope.since
),

candidates as materialized (
    select
        performance.*,
        found.night_no as to_no,
    from performance
    inner join nights as found on performance.series_id = found.series_id and performance.first_night = found.night
    union all by name
    select * from exact
),

-- what each factor did from the step on; in order, since a sum of doubles depends on it in the last digit
grown as materialized (
    select
        candidates.series_id,
        candidates.night,
        candidates.cause,
        candidates.regression_id,
        sum(nights.performance_effect_usd order by nights.night) as performance_effect_usd,
        sum(nights.price_effect_usd order by nights.night) as price_effect_usd,
        sum(nights.scope_effect_usd order by nights.night) as scope_effect_usd,
    from candidates
    inner join nights
        on
            candidates.series_id = nights.series_id
            and candidates.step_no <= nights.night_no
            and candidates.night >= nights.night
    group by candidates.series_id, candidates.night, candidates.cause, candidates.regression_id
),

sized as materialized (
    select
        candidates.*,
        began.night as step_night,
        tonight.* exclude (
            series_id, night, performance_effect_usd, price_effect_usd, scope_effect_usd, sigmas, change_id,
            change_usd, change_share
        ),
        grown.price_effect_usd,
        grown.scope_effect_usd,
        candidates.night = candidates.first_night as is_new,
        -- with every server full a cost follows its performance; otherwise by whole servers, night by night
        candidates.cause = 'performance' and tonight.cost_basis <> 'demand' as is_proportional,
        case when is_proportional then candidates.at_baseline_usd else began.previous_value_usd end as reference_usd,
        case
            when is_proportional then candidates.performance_change_share * candidates.at_baseline_usd
            else grown.performance_effect_usd
        end as performance_usd,
        case candidates.cause
            when 'performance' then performance_usd
            when 'price' then began.price_effect_usd
            else began.scope_effect_usd
        end as moved_usd,
        moved_usd / reference_usd as moved_share,
        before.run_id as run_before,
        after.run_id as run_after,
    from candidates
    inner join tonight on candidates.series_id = tonight.series_id and candidates.night = tonight.night
    inner join grown
        on
            candidates.series_id = grown.series_id
            and candidates.night = grown.night
            and candidates.cause = grown.cause
            and candidates.regression_id = grown.regression_id
    inner join nights as began on candidates.series_id = began.series_id and candidates.step_no = began.night_no
    left join nights as before
        on candidates.series_id = before.series_id and greatest(candidates.from_no, 1) = before.night_no
    left join nights as after on candidates.series_id = after.series_id and candidates.to_no = after.night_no
),

ranked as (
    select
        *,
        row_number() over (
            partition by series_id, night
            order by
                is_new desc,
                is_new and cause = 'performance' desc,
                abs(coalesce(moved_share, performance_change_share)) desc nulls last,
                regression_id asc
        ) as place,
    from sized
),

runs as (
    select * from curated.runs
    where is_current
),

compared as (
    select
        ranked.*,
        [
            ['engine', old.engine, new.engine],
            ['engine_version', old.engine_version, new.engine_version],
            ['client_version', old.client_version, new.client_version],
            ['config_hash', left(old.config_hash, 12), left(new.config_hash, 12)],
            ['catalog_hash', left(old.catalog_hash, 12), left(new.catalog_hash, 12)],
            ['host', old.host, new.host],
            ['platform', old.platform, new.platform],
            ['python_version', old.python_version, new.python_version],
            ['cpu_count', old.cpu_count::varchar, new.cpu_count::varchar],
            ['url', old.url, new.url],
            ['api', old.api, new.api],
            ['model', old.model, new.model],
            ['precision', old.precision, new.precision],
            ['quality_score', old.quality_score::varchar, new.quality_score::varchar],
            ['accelerator', old.accelerator, new.accelerator],
            ['gpus_per_instance', old.gpus_per_instance::varchar, new.gpus_per_instance::varchar],
            ['gpus_per_server', old.gpus_per_server::varchar, new.gpus_per_server::varchar],
            ['instances_measured', old.instances_measured::varchar, new.instances_measured::varchar],
            ['power_kw_per_gpu', old.power_kw_per_gpu::varchar, new.power_kw_per_gpu::varchar],
            ['load', old.load, new.load]
        ] as pairs,
    from ranked
    left join runs as old on ranked.run_before = old.run_id
    left join runs as new on ranked.run_after = new.run_id
),

told as materialized (
    select
        *,
        list_transform(
            list_filter(pairs, lambda pair: pair[2] is distinct from pair[3]),
            lambda pair: concat(pair[1], ': ', coalesce(pair[2], 'unknown'), ' -> ', coalesce(pair[3], 'unknown'))
        ) as suspects,
    from compared
),

beside as (
    select
        series_id,
        night,
        list(
            struct_pack(
                regression_id := regression_id,
                cause := cause,
                direction := direction,
                is_new := is_new,
                state := state,
                first_night := first_night,
                step_night := step_night,
                reference_usd := reference_usd,
                change_usd := moved_usd,
                change_share := moved_share,
                performance_effect_usd := performance_usd,
                price_effect_usd := price_effect_usd,
                scope_effect_usd := scope_effect_usd,
                performance_change_share := performance_change_share,
                change_sigmas := change_sigmas,
                confidence := confidence,
                suspects := suspects
            )
            order by place
        ) as also,
    from told
    where place > 1
    group by series_id, night
)

select
    told.series_id,
    told.night,
    told.run_date,
    told.endpoint,
    told.workload,
    told.slo,
    told.demand,
    told.price_plan,
    told.cost_basis,
    told.allocation_method,
    told.fleet_id,
    told.run_id,
    told.operating_point_id,
    told.metric_version,
    told.currency,
    told.measure,
    told.regression_id,
    told.cause,
    told.direction,
    told.is_new,
    told.state,
    told.first_night,
    told.step_night,
    told.value_usd,
    told.reference_usd,
    told.moved_usd as change_usd,
    told.moved_share as change_share,
    told.performance_usd as performance_effect_usd,
    told.price_effect_usd,
    told.scope_effect_usd,
    told.performance_change_share,
    told.change_sigmas,
    told.confidence,
    told.noise_share,
    told.suspects,
    coalesce(beside.also, []) as also,
from told
left join beside on told.series_id = beside.series_id and told.night = beside.night
where told.place = 1
