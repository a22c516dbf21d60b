// Own, rent, or buy tokens; three costs; input and output prices (docs/economics.md).

/** What tokens cost by a price list: cached ones are a part of the input, reasoning ones of the output. */
function promptBill(tokens, plan) {
  if (unknown(plan.usd_per_mtok_cached_input)) return over(times(tokens.input, plan.usd_per_mtok_input), PER_MTOK);
  const fresh = times(minus(tokens.input, tokens.cached), plan.usd_per_mtok_input);
  return over(plus(fresh, times(tokens.cached, plan.usd_per_mtok_cached_input)), PER_MTOK);
}

function answerBill(tokens, plan) {
  if (unknown(plan.usd_per_mtok_reasoning)) return over(times(tokens.output, plan.usd_per_mtok_output), PER_MTOK);
  const plain = times(minus(tokens.output, tokens.reasoning), plan.usd_per_mtok_output);
  return over(plus(plain, times(tokens.reasoning, plan.usd_per_mtok_reasoning)), PER_MTOK);
}

const bill = (tokens, plan) => plus(promptBill(tokens, plan), answerBill(tokens, plan));
const meanTokens = (p) => ({ input: p.isl, cached: p.csl, output: p.osl, reasoning: p.rsl });
const tokensOf = (shares, name) => ({
  input: shares[`${name}_input_tokens`],
  cached: shares[`${name}_cached_input_tokens`],
  output: shares[`${name}_output_tokens`],
  reasoning: shares[`${name}_reasoning_tokens`],
});

/** One answered request at an API; what failed requests were billed rides on it. */
function requestUsd(point, shares, plan) {
  if (unknown(shares)) return null;
  const failed = bill(tokensOf(shares, "failed"), plan);
  // nothing billed needs no count of those that it rides on, which a summary may not have
  const each = failed === 0 ? 0 : over(failed, minus(shares.judged_requests, shares.failed_requests));
  return plus(bill(meanTokens(point), plan), each);
}

/** A plan's fleet at one rate of an instance: units that are paid for, instances, and what they serve. */
function offered(asked, rate, plan, point, hardware) {
  const unit = plan.priced_unit;
  const g = unit === "unit" ? 1 : hardware.gpus_per_instance;
  if (unit === "unit") rate = over(plan.tokens_per_s, plus(point.isl, point.osl));
  const fleet = instances(asked, rate || null, unit === "unit" ? null : asked.max_instances);
  const units = { server: housed(fleet.n, g, plan.gpus_per_server), request: null }[unit];
  const paid = units === undefined ? fleet.n : units;
  return {
    ...fleet,
    rate,
    units: paid,
    gpus_of_instance: g,
    gpus_paid: unit === "server" ? times(paid, plan.gpus_per_server) : unit === "request" ? null : times(fleet.n, g),
  };
}

/** The mean rate that is served; of a recorded trace the time-mean of min(rate, capacity). No capacity: an API's. */
function meanServed(asked, capacity) {
  if (!asked.trace) return asked.mean_rps;
  if (unknown(capacity)) return null;
  const { rps, shares } = asked.trace;
  return rps.reduce((sum, rate, index) => sum + shares[index] * Math.min(rate, capacity), 0);
}

/** Prices of a request and a token, by basis, from a fleet's year: the macro price_fleet. */
function priceFleet(units, unitYear, unitRps, goodRps, meanRps, uptime, point) {
  const capacity = times(units, times(unitRps, uptime));
  const served = {
    capacity,
    slo: times(units, times(goodRps, uptime)),
    demand: least(meanRps, capacity),
  };
  const year = times(units, unitYear);
  return Object.fromEntries(
    Object.entries(served).map(([basis, rps]) => {
      const per1k = over(times(year, 1000), times(rps, SECONDS_A_YEAR));
      const perMtok = over(times(per1k, 1000), plus(point.isl, point.osl));
      return [basis, { served_rps: rps, fleet_year_usd: year, usd_per_1k_prompts: per1k, usd_per_mtok: perMtok }];
    })
  );
}

/** The three costs of a plan at one rate of an instance. An API is a server of one request a second. */
function costsAt(asked, offer, plan, point, goodShare, request) {
  if (plan.priced_unit !== "request") {
    const unitRps = times(offer.rate, plan.instances_per_unit);
    const goodRps = times(times(offer.rate, goodShare), plan.instances_per_unit);
    const served = meanServed(asked, times(offer.units, unitRps, asked.uptime));
    return priceFleet(offer.units, plan.unit_year_usd, unitRps, goodRps, served, asked.uptime, point);
  }
  const mean = meanServed(asked, Infinity);
  const one = priceFleet(1, times(request, SECONDS_A_YEAR), 1, goodShare, unknown(mean) ? null : 1, 1, point);
  for (const cost of Object.values(one)) {
    cost.served_rps = times(cost.served_rps, mean);
    cost.fleet_year_usd = times(cost.fleet_year_usd, mean);
  }
  return one;
}

/** 1M fresh input, cached input and output tokens out of the price of 1,000 requests. */
function split(per1k, method, role, plan, point, shares) {
  const { usd_per_mtok_input: pIn, usd_per_mtok_cached_input: pCached } = plan;
  if (method === "separate_phases") {
    const input = role === "prefill" ? over(times(per1k, 1000), point.isl) : null;
    const output = role === "decode" ? over(times(per1k, 1000), point.osl) : null;
    return { usd_per_mtok_input: input, usd_per_mtok_cached_input: input, usd_per_mtok_output: output };
  }
  if (method === "processor_sharing") {
    const weight = or(unknown(pCached) || unknown(pIn) ? null : over(pCached, pIn), 1);
    const ratio = unknown(pCached) ? null : over(pCached, pIn);
    const weighed = unknown(pCached) ? point.isl : plus(point.isl, times(minus(ratio, 1), point.csl));
    const input = over(times(times(shares?.input_share, per1k), 1000), weighed);
    const output = over(times(times(shares?.output_share, per1k), 1000), point.osl);
    return { usd_per_mtok_input: input, usd_per_mtok_cached_input: times(input, weight), usd_per_mtok_output: output };
  }
  const pOut = blendedOutput(plan, point);
  const prompt = unknown(pCached)
    ? times(point.isl, pIn)
    : plus(times(minus(point.isl, point.csl), pIn), times(point.csl, pCached));
  const reference = over(plus(prompt, times(point.osl, pOut)), 1000);
  const of = (price) => over(times(price, per1k), reference);
  return {
    usd_per_mtok_input: of(pIn),
    usd_per_mtok_cached_input: of(or(pCached, pIn)),
    usd_per_mtok_output: of(pOut),
  };
}

/** The price of 1M output tokens, reasoning ones at their own price in it. */
function blendedOutput(plan, point) {
  const { usd_per_mtok_output: plain, usd_per_mtok_reasoning: reasoning } = plan;
  if (unknown(reasoning)) return or(plain, null);
  return over(plus(times(minus(point.osl, point.rsl), plain), times(point.rsl, reasoning)), point.osl);
}
