// The calculator's controls: what is asked is read from the form, answered by answer.js and written beside it.

function calculatorForm(form) {
  const field = (name) => form.elements.namedItem(name);
  const measuredName = (m) => `${m.endpoint} × ${m.workload}`;
  const OWN = "figures of your own";
  const METHODS = { price_ratio: "price ratio", processor_sharing: "measured time", separate_phases: "pool" };
  let meanIsGivenBy = "rate"; // or "use": the one that was touched last leads, the other follows
  let startedFrom = null; // the demand that was put into the form last

  const measured = () => DATA.calculator.measured.find((m) => measuredName(m) === field("measured").value);
  const named = (list, key, value) => list.find((item) => item[key] === value);
  const figure = (name) => (field(name).value === "" || !field(name).validity.valid ? null : Number(field(name).value));

  /** The demand as the form states it; null where the peak is missing or something is out of range. */
  function asked() {
    const share = (name) => (figure(name) === null ? null : figure(name) / 100);
    const wanted = {
      peak_rps: figure("peak_rps"), mean_rps: figure("mean_rps"), headroom: share("headroom"), spares: figure("spares"),
      uptime: share("uptime"), max_instances: figure("max_instances"),
    };
    const needed = [wanted.peak_rps, wanted.headroom, wanted.spares, wanted.uptime];
    // of rate and utilisation the one that follows may lie beyond what could be asked for
    const follows = meanIsGivenBy === "rate" ? "use" : "mean_rps";
    const wrong = [...form.elements].some((element) => element.name !== follows && element.validity && !element.validity.valid);
    return wrong || needed.includes(null) ? null : wanted;
  }

  /** SLOs, plans and demands of the endpoint; what was chosen stays where it is there too. */
  function offerChoices() {
    const m = measured();
    choices(field("slo"), m.slos.map((s) => s.slo));
    choices(field("plan"), m.plans.map((p) => p.price_plan));
    choices(field("start"), [...m.demands.map((d) => d.demand), OWN]);
    offerMethods();
  }

  function offerMethods() {
    const m = measured();
    const plan = named(m.plans, "price_plan", field("plan").value);
    const methods = plan ? methodsOf(m.role, plan) : ["price_ratio"];
    const chosen = methods.includes(field("method").value) ? field("method").value : methods[0];
    field("method").replaceChildren(...methods.map((value) => make("option", { value }, METHODS[value])));
    field("method").value = chosen;
    field("method").closest("label").hidden = methods.length < 2;
  }

  /** The recorded rates of the demand that the form started from, for as long as its peak and mean stand. */
  function traceOf(wanted) {
    const stands = startedFrom?.peak_rps === wanted.peak_rps && startedFrom.mean_rps === wanted.mean_rps;
    const trace = stands && meanIsGivenBy === "rate" ? DATA.calculator.traces[startedFrom.trace] : undefined;
    return trace ? { ...trace, rps: trace.rps.map((rps) => rps * startedFrom.growth_factor) } : null;
  }

  /** Put a demand of the catalog into the form. */
  function start() {
    const demand = named(measured().demands, "demand", field("start").value);
    if (!demand) return;
    startedFrom = demand;
    const share = (x) => String(Number((100 * x).toPrecision(12)));
    const text = (x) => (unknown(x) ? "" : String(x));
    const { slo, peak_rps, mean_rps, spares, headroom, uptime, max_instances } = demand;
    field("slo").value = slo;
    const values = { peak_rps: text(peak_rps), mean_rps: text(mean_rps), spares: text(or(spares, 0)), max_instances: text(max_instances) };
    Object.assign(values, { headroom: share(headroom), uptime: share(uptime) });
    for (const [name, value] of Object.entries(values)) field(name).value = value;
    meanIsGivenBy = "rate";
  }

  const sliderOf = { peak_rps: (x) => Math.log10(x), headroom: (x) => x, use: (x) => x };
  function followSliders() {
    for (const [name, place] of Object.entries(sliderOf)) {
      const value = figure(name);
      const slider = field(`${name}_slider`);
      if (value !== null) slider.value = place(value);
      slider.setAttribute("aria-valuetext", value === null ? "not known" : `${number(value)} ${slider.dataset.unit}`);
    }
  }

  /** Rate and utilisation say the same: the one that leads fills in the other. Returns the mean rate. */
  function reconcileMean(wanted, fleet) {
    const carried = fleet && times(fleet.instances, fleet.rps_per_instance);
    if (meanIsGivenBy === "use") {
      const mean = times(figure("use") === null ? null : figure("use") / 100, carried);
      const cut = unknown(mean) ? null : Math.min(mean, wanted.peak_rps);
      field("mean_rps").value = unknown(cut) ? "" : String(Number(cut.toPrecision(4)));
      return { mean: cut, wasCut: cut !== mean };
    }
    const mean = wanted.mean_rps;
    const use = over(mean, carried);
    field("use").value = unknown(use) ? "" : String(Number((100 * use).toPrecision(4)));
    return { mean: unknown(mean) ? null : Math.min(mean, wanted.peak_rps), wasCut: !unknown(mean) && mean > wanted.peak_rps };
  }

  function recalculate() {
    const m = measured();
    const slo = named(m.slos, "slo", field("slo").value);
    const plan = named(m.plans, "price_plan", field("plan").value) ?? null;
    const wanted = asked();
    if (!wanted) return show(m, slo, plan, null, null, false);
    wanted.trace = traceOf(wanted);
    const fleet = answer(wanted, m, slo, null, field("method").value).fleet;
    const { mean, wasCut } = reconcileMean(wanted, fleet);
    wanted.mean_rps = mean;
    show(m, slo, plan, wanted, answer(wanted, m, slo, plan, field("method").value), wasCut);
    followSliders();
  }

  const noun = (count, one) => (count === 1 ? one : `${one}s`);

  function out(name, text, value) {
    for (const place of form.querySelectorAll(`[data-out="${name}"]`)) place.replaceChildren(exact(text, value));
  }

  function show(m, slo, plan, wanted, found, wasCut) {
    const { point, fleet, costs, ledger: book } = found ?? {};
    form.dataset.point = point?.id ?? "";
    const currency = plan?.currency;
    const isApi = plan?.priced_unit === "request";
    const hardware = isApi ? null : fleet;
    form.querySelector("[data-out=processors]").textContent = noun(hardware?.gpus, m.processor);
    form.querySelector("[data-out=instances_noun]").textContent = noun(hardware?.instances, "instance");
    form.querySelector("[data-out=asks]").textContent = slo?.asks ?? "";
    for (const name of ["servers", "instances", "gpus", "stranded_gpus"]) out(name, number(hardware?.[name]), hardware?.[name]);
    for (const name of ["utilisation", "utilisation_at_mean"]) out(name, percent(hardware?.[name]), hardware?.[name]);
    out("fleet_year_usd", money(costs?.capacity.fleet_year_usd, currency), costs?.capacity.fleet_year_usd);
    for (const basis of ["capacity", "slo", "demand"]) {
      const cost = costs?.[basis] ?? {};
      out(`${basis}.served_rps`, number(cost.served_rps), cost.served_rps);
      for (const name of ["usd_per_1k_prompts", "usd_per_mtok", "usd_per_mtok_input", "usd_per_mtok_cached_input", "usd_per_mtok_output", "usd_per_mtok_lo", "usd_per_mtok_hi"])
        out(`${basis}.${name}`, money(cost[name], currency, /_(lo|hi)$/.test(name) ? 3 : 4), cost[name]);
    }
    for (const basis of ["capacity", "slo", "demand"]) {
      const [low, high] = ["lo", "hi"].map((end) => money(costs?.[basis][`usd_per_mtok_${end}`], currency, 3));
      form.querySelector(`[data-interval="${basis}"]`).hidden = low === high;
    }
    showLedger(book, currency);
    form.querySelector("[data-out=said]").textContent = sentence(m, slo, plan, wanted, found);
    const told = wanted && fleet ? remarks(m, plan, wanted, found, wasCut) : [];
    form.querySelector("[data-out=remarks]").replaceChildren(...told.map((text) => make("li", {}, text)));
    form.querySelector(".answer").classList.toggle("none", !fleet);
  }

  function showLedger(book, currency) {
    const names = Object.keys(DATA.words);
    for (const name of names) {
      const usd = book?.buckets[name];
      const shown = book?.shown[name];
      const row = form.querySelector(`[data-bucket="${name}"]`);
      row.hidden = name === "unallocated" && unknown(usd);
      row.cells[1].replaceChildren(exact(cents(shown, currency), usd ?? null));
      row.cells[2].textContent = unknown(usd) || !book.year ? DASH : percent(usd / book.year);
      form.querySelector(`.bar .bucket-${name.replaceAll("_", "-")}`).style.flexGrow = unknown(usd) || !book.year ? 0 : Math.max(0, usd / book.year);
    }
    out("ledger_year", cents(book?.year, currency), book?.year);
    out("ledger_served_rps", number(book?.served_rps), book?.served_rps);
  }

  /** The answer in a sentence, which a screen reader hears when it changes. */
  function sentence(m, slo, plan, wanted, found) {
    if (!wanted) return "A figure is missing or out of its range.";
    if (!found.point) return `${slo.verdict}. ${slo.detail}`;
    const { fleet, costs, point } = found;
    const at = `Run at ${point.label}`;
    const units = (count, one) => `${number(count)} ${noun(count, one)}`;
    const hardware = plan?.priced_unit === "request" ? "no servers" : `${units(fleet.servers, "server")} (${units(fleet.gpus, m.processor)})`;
    if (!plan) return `${at}: ${hardware}. No price plan of that night pays for this hardware.`;
    const price = (basis) => {
      const cost = costs[basis];
      return unknown(cost.usd_per_mtok) ? `${money(cost.usd_per_1k_prompts, plan.currency)} per 1k prompts` : `${money(cost.usd_per_mtok, plan.currency)} per 1M tokens`;
    };
    const mean = unknown(wanted.mean_rps) ? "" : `, ${price("demand")} at the mean rate`;
    return `${at}: ${hardware}, ${money(costs.capacity.fleet_year_usd, plan.currency)} a year, ${price("capacity")} with every server full${mean}.`;
  }

  /** Of a trace with more rates than the page carries, how exact what it serves is (reports/sql/traces.sql). */
  const joined = ({ recorded, rps, error_share }) =>
    error_share ? ` Its ${number(recorded, 9)} rates are joined to ${number(rps.length)} here, which moves the rate served by at most ${percent(error_share)} of the peak.` : "";

  function remarks(m, plan, wanted, { fleet, offer, ledger: book }, wasCut) {
    const told = [];
    if (wasCut) told.push("A mean cannot be above the peak: it counts as the peak.");
    if (wanted.trace) told.push(`Costs at the mean follow the demand's recorded trace: in each of its bins, what is asked or what the fleet carries.${joined(wanted.trace)}`);
    else if (!unknown(startedFrom?.trace)) told.push("The demand's recorded trace is left aside: its peak and mean are no longer asked for. Costs at the mean stand at one steady rate.");
    if (unknown(wanted.mean_rps)) told.push("No mean rate: what a token costs as used is not known, and the ledger stands at the peak.");
    if (plan?.priced_unit !== "request") {
      if (fleet.share_of_load_served !== null && fleet.share_of_load_served < 1) told.push(`The budget carries only ${percent(fleet.share_of_load_served)} of the peak.`);
      if (fleet.instances_lo !== fleet.instances_hi && !unknown(fleet.instances_hi)) told.push(`Over the 95 % interval of the measured rate: ${fleet.instances_lo} to ${fleet.instances_hi} instances.`);
      if (fleet.survives_one_server !== null) told.push(fleet.survives_one_server ? "With one server down it still carries the peak." : `With one server down it does not carry the peak: ${number(fleet.servers_to_survive)} servers would.`);
      if (plan?.priced_unit === "server" && plan.gpus_per_server !== m.gpus_per_server) told.push(`Priced as ${number(offer.units)} servers of ${plan.gpus_per_server} GPUs.`);
      if (plan?.priced_unit === "unit") told.push(`Priced as ${number(offer.units)} provisioned units.`);
    }
    if (plan && !book) told.push("The year is not known, and so is where it goes.");
    return told;
  }

  choices(field("measured"), DATA.calculator.measured.map(measuredName));
  offerChoices();
  start();
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", ({ target }) => {
    const { name } = target;
    if (name.endsWith("_slider")) {
      const of = name.replace("_slider", "");
      const value = of === "peak_rps" ? Number((10 ** target.value).toPrecision(3)) : Number(target.value);
      field(of).value = String(value);
    }
    const figureName = name.replace("_slider", "");
    if (figureName === "measured") {
      offerChoices();
      start(); // a demand of the catalog is asked of this endpoint as its own night has it; figures of your own stay
    }
    if (figureName === "plan") offerMethods();
    if (figureName === "start") start();
    else if (["slo", "peak_rps", "mean_rps", "use", "headroom", "spares", "uptime", "max_instances"].includes(figureName)) field("start").value = OWN;
    if (figureName === "mean_rps") meanIsGivenBy = "rate";
    if (figureName === "use") meanIsGivenBy = "use";
    recalculate();
  });
  recalculate();
}

const calculator = document.getElementById("calculator-form");
if (calculator) calculatorForm(calculator);
