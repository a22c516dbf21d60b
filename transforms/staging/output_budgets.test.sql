-- assert: a budget cuts no more than there is
select
    operating_point_id,
    slo,
    statistic,
    tokens_above_mean,
    output_tokens_mean,
from staging.output_budgets
where tokens_above_mean < 0 or tokens_above_mean >= output_tokens_mean;
