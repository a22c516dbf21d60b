// Choosing the operating point, and the servers for a demand (docs/economics.md): names are those of the warehouse.

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
