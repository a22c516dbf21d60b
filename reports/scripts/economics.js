// The calculator's arithmetic: docs/economics.md in JavaScript, held against SQL in tests/reports/test_calculator.py.
// Names are those of the warehouse. null is what is not known: whatever follows from it is null, and never 0.

const SECONDS_A_YEAR = 31536000;
const PER_MTOK = 1e6;

const unknown = (x) => x === null || x === undefined;
const known = (f) => (...xs) => (xs.some(unknown) ? null : f(...xs));
const plus = known((...xs) => xs.reduce((sum, x) => sum + x));
const minus = known((first, ...xs) => xs.reduce((left, x) => left - x, first));
const times = known((...xs) => xs.reduce((product, x) => product * x));
const over = known((a, b) => (b === 0 ? null : a / b));
const least = known(Math.min);
const or = (x, otherwise) => (unknown(x) ? otherwise : x);

/** DuckDB's round(x, places): a product that overflows leaves x as it is. */
function rounded(x, places) {
  const scaled = Math.round(x * 10 ** places) / 10 ** places;
  return Number.isFinite(scaled) ? scaled : x;
}

/** ceil(round(x, 9)): 100 * (1 + 0.1) / 10 is a little above 11 in doubles. A count that no BIGINT holds is null. */
const ceiling = known((x) => {
  const count = Math.ceil(rounded(x, 9));
  return count < 2 ** 63 ? count : null;
});

// Choosing the operating point -----------------------------------------------------------------------------------

/** The valid point that meets `slo` with the most requests a second a GPU; ties: lower mean e2e, lower load, id. */
function choose(points, slo) {
  const met = points.filter((p) => p.is_valid && slo.judged[p.id]?.meets_slo === true && !unknown(p.request_rps_per_gpu));
  const last = (x) => or(x, Infinity);
  const before = (a, b) =>
    b.request_rps_per_gpu - a.request_rps_per_gpu ||
    (last(a.e2e_mean_ms) === last(b.e2e_mean_ms) ? 0 : last(a.e2e_mean_ms) - last(b.e2e_mean_ms)) ||
    last(a.load) - last(b.load) ||
    (a.id < b.id ? -1 : 1);
  return met.sort(before)[0] ?? null;
}

// Servers --------------------------------------------------------------------------------------------------------

/** Servers that house n instances of g GPUs in servers of k: an instance never straddles two that could hold it. */
function housed(n, g, k) {
  if (unknown(n) || !g || !k) return null;
  return g <= k ? ceiling(n / Math.floor(k / g)) : times(n, ceiling(g / k));
}

const instancesPerServer = (g, k) => (!g || !k ? null : g <= k ? Math.floor(k / g) : 1 / Math.ceil(g / k));

/** Instances for a demand at a rate an instance: the headroom is cut to the budget first, the peak's own last. */
function instances(asked, rate, budget) {
  const alone = ceiling(over(asked.peak_rps, rate));
  const ample = ceiling(over(times(asked.peak_rps, 1 + asked.headroom), rate));
  if (unknown(alone) || unknown(ample)) return { n0: null, n1: null, spares: null, n: null, needed: null };
  const n1 = unknown(budget) ? ample : Math.min(ample, Math.max(0, budget - asked.spares));
  const spares = unknown(budget) ? asked.spares : Math.min(asked.spares, budget);
  return { n0: Math.min(alone, n1), n1, spares, n: n1 + spares, needed: alone };
}

/** The row of server_counts: `rate` requests/s an instance, `hardware` the GPUs of an instance and of a server. */
function sizeFleet(asked, rate, hardware) {
  const { gpus_per_instance: g, gpus_per_server: k } = hardware;
  const { n0, n1, spares, n, needed } = instances(asked, rate || null, asked.max_instances);
  const servers = housed(n, g, k);
  const perServer = instancesPerServer(g, k);
  const lost = unknown(perServer) ? null : Math.max(1, perServer);
  const carried = times(n, rate);
  const left = unknown(n) || unknown(lost) ? null : (n - Math.min(n, lost)) * rate;
  return {
    instances_for_peak: n0,
    instances_with_headroom: n1,
    spares,
    instances: n,
    servers,
    gpus: times(n, g),
    stranded_gpus: minus(times(servers, k), times(n, g)),
    utilisation: over(asked.peak_rps, carried),
    utilisation_at_mean: over(asked.mean_rps, carried),
    share_of_load_served: unknown(carried) ? null : Math.min(1, or(over(carried, asked.peak_rps), 1)),
    survives_one_server: unknown(left) ? null : left >= asked.peak_rps * (1 - 1e-9),
    servers_to_survive: unknown(perServer) ? null : ceiling(over(plus(needed, lost), perServer)),
  };
}

// Own, rent, or buy tokens ---------------------------------------------------------------------------------------

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
  const failed = over(bill(tokensOf(shares, "failed"), plan), minus(shares.judged_requests, shares.failed_requests));
  return plus(bill(meanTokens(point), plan), failed);
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

// Three costs ----------------------------------------------------------------------------------------------------

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
    return priceFleet(offer.units, plan.unit_year_usd, unitRps, goodRps, asked.mean_rps, asked.uptime, point);
  }
  const mean = asked.mean_rps;
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

// The ledger -----------------------------------------------------------------------------------------------------

const BUCKETS = [
  "stranded", "spare", "headroom", "idle", "failed", "slo_missed", "input", "cached_input", "output", "unallocated",
];

/** Where each dollar of the year goes: {year, served_rps, buckets: {name: usd}}, or null where the year is not known. */
function ledger(asked, offer, plan, role, method, shares, request) {
  const isApi = plan.priced_unit === "request";
  const wanted = or(asked.mean_rps, asked.peak_rps);
  const year = isApi ? times(wanted, SECONDS_A_YEAR, request) : times(offer.units, plan.unit_year_usd);
  if (unknown(year)) return null;
  const { n0, n1, spares, rate } = offer;
  const served = isApi ? wanted : Math.min(wanted, offer.n * rate * asked.uptime);
  const ci = isApi ? null : offer.gpus_paid === 0 ? 0 : (year * offer.gpus_of_instance) / offer.gpus_paid;
  const askedFor = isApi ? year : n0 * ci * Math.min(1, or(over(served, n0 * rate), 0));

  const tokens = (name) => (unknown(shares) ? {} : tokensOf(shares, name));
  const good = tokens("good");
  const pCached = plan.usd_per_mtok_cached_input;
  const bills = { failed: bill(tokens("failed"), plan), missed: bill(tokens("missed"), plan) };
  const prompt = promptBill(good, plan);
  const answer = answerBill(good, plan);
  const goodBill = plus(prompt, answer);
  const whole = plus(bills.failed, bills.missed, goodBill) || null;
  const xFailed = isApi ? over(bills.failed, whole) : or(shares?.failed_share, null);
  const xMissed = isApi ? over(bills.missed, whole) : or(shares?.missed_share, null);
  const work = times(askedFor, minus(1, isApi ? 0 : or(shares?.idle_share, null)));
  const goodUsd = times(work, minus(1, xFailed, xMissed));

  const pool = role === "prefill" ? [1, 0] : [0, 1];
  const [sPrompt, sAnswer] = {
    price_ratio: [over(prompt, goodBill), over(answer, goodBill)],
    processor_sharing: [or(shares?.input_share, null), or(shares?.output_share, null)],
    separate_phases: pool,
  }[method];
  const cachedPart = unknown(pCached)
    ? over(good.cached, good.input)
    : over(over(times(good.cached, pCached), PER_MTOK), prompt);
  const isSplit = !unknown(sPrompt) && !unknown(sAnswer) && (!unknown(cachedPart) || unknown(pCached));
  const part = (usd) => (goodUsd === 0 ? 0 : isSplit ? usd() : null);
  const input = part(() => times(goodUsd, sPrompt, 1 - or(cachedPart, 0)));

  const amounts = {
    stranded: isApi ? 0 : year - (n1 + spares) * ci,
    spare: isApi ? 0 : spares * ci,
    headroom: isApi ? 0 : (n1 - n0) * ci,
    idle: isApi ? 0 : n0 * ci - or(work, askedFor),
    failed: times(work, xFailed),
    slo_missed: times(work, xMissed),
    input,
    cached_input: part(() => times(goodUsd, sPrompt, cachedPart)),
    output: part(() => times(goodUsd, sAnswer)),
  };
  const left = unknown(goodUsd) ? or(work, askedFor) : unknown(input) ? goodUsd : null;
  if (left !== null) amounts.unallocated = left;
  // what differs from 0 by rounding alone is 0
  for (const name in amounts) if (Math.abs(amounts[name]) < 1e-14 * year) amounts[name] = unknown(amounts[name]) ? null : 0;
  return { year, served_rps: served, mean_basis: unknown(asked.mean_rps) ? "peak" : "mean", buckets: amounts, shown: inCents(amounts, year) };
}

/** Whole cents by largest remainder, so that what is shown adds up. */
function inCents(amounts, year) {
  const entries = Object.entries(amounts).filter(([, usd]) => !unknown(usd));
  const cents = new Map(entries.map(([name, usd]) => [name, Math.floor(rounded(usd * 100, 6))]));
  let left = Math.round(year * 100) - [...cents.values()].reduce((sum, c) => sum + c, 0);
  const lost = ([name, usd]) => usd * 100 - cents.get(name);
  entries.sort((a, b) => lost(b) - lost(a) || (a[0] < b[0] ? -1 : 1));
  for (const [name] of entries) if (left-- > 0) cents.set(name, cents.get(name) + 1);
  return Object.fromEntries(Object.keys(amounts).map((name) => [name, cents.has(name) ? cents.get(name) / 100 : null]));
}

// The answer -----------------------------------------------------------------------------------------------------

const methodsOf = (role, plan) =>
  role !== "aggregated" ? ["separate_phases"] : plan.priced_unit === "request" ? ["price_ratio"] : ["price_ratio", "processor_sharing"];

/**
 * The fleet, its three costs and its ledger.
 *
 * `asked`: peak_rps, mean_rps, headroom, spares, uptime, max_instances (null: no budget).
 * `measured`: {role, gpus_per_instance, gpus_per_server, instances_measured, points}; `slo`: {judged, shares} by point.
 * Without a point that meets the SLO there is no fleet, and none is made up.
 */
function answer(asked, measured, slo, plan, method) {
  const point = choose(measured.points, slo);
  if (!point) return { point: null, fleet: null, costs: null, ledger: null };
  const judged = slo.judged[point.id];
  const shares = slo.shares[point.id] ?? null;
  const rates = ["request_rps", "request_rps_lo", "request_rps_hi"].map((name) => over(point[name], measured.instances_measured));
  const [rate, low, high] = [rates[0], rates[1] > 0 ? rates[1] : null, rates[2]];
  const fleet = { ...sizeFleet(asked, rate, measured), rps_per_instance: rate };
  fleet.instances_lo = instances(asked, high || null, asked.max_instances).n;
  fleet.instances_hi = instances(asked, low, asked.max_instances).n;
  if (!plan) return { point, fleet, costs: null, ledger: null };

  const goodShare = over(over(judged.good_rps, measured.instances_measured), rate);
  const request = plan.priced_unit === "request" ? requestUsd(point, shares, plan) : null;
  const at = (r) => costsAt(asked, offered(asked, r, plan, point, measured), plan, point, goodShare, request);
  const [costs, dear, cheap] = [rate, low, high].map(at);
  for (const [basis, cost] of Object.entries(costs)) {
    Object.assign(cost, split(cost.usd_per_1k_prompts, method, measured.role, plan, point, shares));
    cost.usd_per_request = over(cost.usd_per_1k_prompts, 1000);
    for (const name of ["usd_per_1k_prompts", "usd_per_mtok"]) {
      cost[`${name}_lo`] = cheap[basis][name];
      cost[`${name}_hi`] = dear[basis][name];
    }
    if (measured.role !== "aggregated") cost.usd_per_mtok = cost.usd_per_mtok_lo = cost.usd_per_mtok_hi = null;
  }
  const offer = offered(asked, rate, plan, point, measured);
  return { point, fleet, costs, offer, ledger: ledger(asked, offer, plan, measured.role, method, shares, request) };
}
