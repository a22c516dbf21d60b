// Every dollar of a fleet's year in one bucket (docs/economics.md, The ledger).

/** Where each dollar of the year goes: {year, served_rps, buckets: {name: usd}}, or null where the year is not known. */
function ledger(asked, offer, plan, role, method, shares, request) {
  const isApi = plan.priced_unit === "request";
  const carried = isApi ? Infinity : times(offer.n, offer.rate, asked.uptime);
  const wanted = unknown(asked.mean_rps) ? asked.peak_rps : meanServed(asked, carried);
  const year = isApi ? times(wanted, SECONDS_A_YEAR, request) : times(offer.units, plan.unit_year_usd);
  if (unknown(year)) return null;
  const { n0, n1, spares, rate } = offer;
  const served = Math.min(wanted, carried);
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
  return { year, served_rps: served, buckets: amounts, shown: inCents(amounts, year) };
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
