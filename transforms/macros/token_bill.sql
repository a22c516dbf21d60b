-- token_bill: what tokens cost by an API's price list (docs/economics.md, Own, rent, or buy tokens).
-- A public what-if scalar macro: prices per 1M tokens; cached tokens are a part of the input, reasoning tokens of the
-- output. One without a price of its own costs as the rest, and then its count need not be known.
-- grain: a scalar
create or replace macro token_bill(
    input_tokens, output_tokens, price_in, price_out,
    cached_tokens := 0, reasoning_tokens := 0, price_cached := null, price_reasoning := null
) as (
    (
        case
            when price_cached is null then cast(input_tokens as double) * price_in
            else (cast(input_tokens as double) - cached_tokens) * price_in + cached_tokens * price_cached
        end
        + case
            when price_reasoning is null then cast(output_tokens as double) * price_out
            else (cast(output_tokens as double) - reasoning_tokens) * price_out + reasoning_tokens * price_reasoning
        end
    ) / 1e6
)
