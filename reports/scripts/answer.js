// The calculator's answer: point, fleet, three costs with their intervals, ledger.

const methodsOf = (role, plan) =>
  role !== "aggregated" ? ["separate_phases"] : plan.priced_unit === "request" ? ["price_ratio"] : ["price_ratio", "processor_sharing"];

/**
 * The fleet, its three costs and its ledger.
 *
 * `asked`: peak_rps, mean_rps, headroom, spares, uptime, max_instances (null: no budget), trace ({rps, shares}; null: none).
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
