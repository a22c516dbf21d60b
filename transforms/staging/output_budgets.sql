-- staging.output_budgets: how many output tokens a cap on the length of answers would cut.
-- grain: operating_point_id, slo, statistic
-- columns: statistic (p50, p75, p90 or p95 of the measured lengths, each with enough samples); budget_tokens, that
--   length; requests; output_tokens_mean; tokens_above_mean, what a request has beyond the budget on average;
--   share_above, of requests that have something.
-- Good requests sent in the window of chosen operating points; none where one does not know its output tokens.
-- assertions (output_budgets.test.sql): a budget cuts no more than there is
with good as (
    select
        chosen.operating_point_id,
        chosen.slo,
        judged.output_tokens,
    from staging.chosen_levels as chosen
    inner join staging.judged_requests as judged using (level_no, slo_no)
    where judged.is_judged and judged.is_good
),

lengths as (
    select
        operating_point_id,
        slo,
        output_tokens,
        count(*) as requests,
    from good
    group by operating_point_id, slo, output_tokens
),

totals as (
    select
        operating_point_id,
        slo,
        sum(requests) as requests,
        sum(requests * output_tokens) as tokens,
    from lengths
    group by operating_point_id, slo
    having bool_and(output_tokens is not null)
),

cumulated as (
    select
        *,
        sum(requests) over (partition by operating_point_id, slo order by output_tokens) as reached,
    from lengths
),

budgets as (
    select
        totals.operating_point_id,
        totals.slo,
        statistics.statistic,
        totals.requests,
        totals.tokens,
        min(cumulated.output_tokens) as budget_tokens,
    from totals
    inner join staging.statistics as statistics
        on totals.requests >= statistics.min_samples and statistics.statistic in ('p50', 'p75', 'p90', 'p95')
    inner join cumulated
        on
            totals.operating_point_id = cumulated.operating_point_id
            and totals.slo = cumulated.slo
            and cumulated.reached >= statistics.probability * totals.requests
    group by totals.operating_point_id, totals.slo, statistics.statistic, totals.requests, totals.tokens
),

cut as (
    select
        budgets.operating_point_id,
        budgets.slo,
        budgets.statistic,
        sum(lengths.requests) as requests_above,
        sum(lengths.requests * (lengths.output_tokens - budgets.budget_tokens)) as tokens_above,
    from budgets
    inner join lengths
        on
            budgets.operating_point_id = lengths.operating_point_id
            and budgets.slo = lengths.slo
            and budgets.budget_tokens < lengths.output_tokens
    group by budgets.operating_point_id, budgets.slo, budgets.statistic
)

select
    budgets.operating_point_id,
    budgets.slo,
    budgets.statistic,
    budgets.budget_tokens,
    cast(budgets.requests as bigint) as requests,
    budgets.tokens / budgets.requests as output_tokens_mean,
    -- no row: no answer is longer
    coalesce(cut.tokens_above, 0) / budgets.requests as tokens_above_mean,
    coalesce(cut.requests_above, 0) / budgets.requests as share_above,
from budgets
left join cut using (operating_point_id, slo, statistic)
