// The charts that span endpoints: what is picked above each is what it draws and what its table holds.

const SERIES = 8; // colours; further lines are grey
const BARS = 14; // fleets in the ledger's chart; its table has all

const picked = (figure, name) => figure.querySelector(`[data-pick=${name}]`);
/** Offer what can be picked; what has no alternative needs no select. */
function offer(select, texts) {
  choices(select, texts);
  select.closest("label").hidden = texts.length < 2;
}
const listen = (figure, redraw) => {
  for (const select of figure.querySelectorAll("select")) select.addEventListener("change", redraw);
  redraw();
};
const note = (figure, text) => (figure.querySelector(".left-out").textContent = text);

function interactivityFigure(figure) {
  const ALL = "all plans";
  const workload = picked(figure, "workload");
  const plan = picked(figure, "plan");
  offer(workload, distinct(DATA.interactivity.map((s) => s.workload)));
  const redraw = () => {
    const here = DATA.interactivity.filter((s) => s.workload === workload.value);
    const plans = distinct(here.map((s) => s.plan));
    const few = here.length <= SERIES;
    offer(plan, few ? [ALL, ...plans] : plans);
    const shown = here.filter((s) => plan.value === ALL || s.plan === plan.value);
    const least = (s) => Math.min(...s.points.map(([, price]) => price));
    shown.sort((a, b) => least(a) - least(b));
    const currency = shown[0].currency;
    const name = (s) => (plan.value === ALL && plans.length > 1 ? `${s.endpoint}, ${s.plan}` : s.endpoint);
    const colour = (at) => (at < SERIES ? at + 1 : 0);
    // what the slowest point costs holds for whoever asks for less
    const slowest = shown.map((s, at) => ({ x: 0, y: s.points[0][1], series: at, colour: colour(at), isPoint: false }));
    const points = shown.flatMap((s, at) =>
      s.points.map(([x, y, load]) => ({
        x, y, series: at, colour: colour(at), isPoint: true,
        tip: { endpoint: s.endpoint, plan: s.plan, "at least": `${number(x)} tokens/s/user`, "1M tokens": money(y, s.currency), "run at": load },
      }))
    );
    const apis = DATA.apis.filter((a) => a.workload === workload.value && a.currency === currency);
    const top = 1.12 * Math.max(...points.map((p) => p.y));
    const inside = apis.filter((a) => a.y <= 3 * top);
    const height = Math.max(top, ...inside.map((a) => 1.1 * a.y));
    draw(figure.querySelector(".chart"), {
      kind: "interactivity",
      values: {
        x_title: "Tokens/s for each user, at least (p50)",
        y_title: `${currency} per 1M tokens, every server full`,
        x_scale: { domain: [0, 1.08 * Math.max(...points.map((p) => p.x))], nice: false },
        y_scale: { domain: [0, height], nice: false },
        description: `What 1M tokens cost against tokens a second for each user, ${shown.length} lines; the table below has the figures`,
      },
      data: { points: [...slowest, ...points], apis: inside.map((a) => ({ y: a.y, label: `${a.plan}: ${money(a.y, a.currency)}` })) },
    });
    const legend = shown.slice(0, SERIES).map((s, at) => make("li", { class: `series-${at + 1}` }, name(s)));
    figure.querySelector(".legend").replaceChildren(...legend);
    const above = apis.filter((a) => !inside.includes(a)).map((a) => `${a.plan} (${money(a.y, a.currency)}) lies far above`);
    const grey = shown.length > SERIES ? [`${shown.length - SERIES} dearer lines are grey`] : [];
    note(figure, [...grey, ...above].join("; "));
    fillTable(
      figure.querySelector("table"),
      [{ text: "Endpoint" }, { text: "Plan" }, { text: "Tokens/s/user", n: 1 }, { text: "Per 1M tokens", n: 1 }, { text: "Run at" }],
      shown.flatMap((s) => s.points.map(([x, y, load]) => [s.endpoint, s.plan, number(x), money(y, s.currency), load]))
    );
  };
  listen(figure, redraw);
}

function ledgerFigure(figure) {
  const { buckets, rows } = DATA.ledgers;
  const [demand, method] = [picked(figure, "demand"), picked(figure, "method")];
  const METHODS = { price_ratio: "by price ratio", processor_sharing: "by measured time" };
  for (const [value, text] of Object.entries(METHODS)) method.append(make("option", { value }, text));
  method.closest("label").hidden = !rows.some((row) => row.method === "processor_sharing");
  offer(demand, distinct(rows.map((row) => row.demand)));
  const redraw = () => {
    // an API and a pool have one split
    const fits = (row) => row.method === method.value || (row.method === "price_ratio" && !rows.some((other) => other.method === method.value && other.demand === row.demand && other.endpoint === row.endpoint && other.plan === row.plan)) || row.method === "separate_phases";
    const here = rows.filter((row) => row.demand === demand.value && fits(row));
    const currencies = distinct(here.map((row) => row.currency));
    const shown = here.filter((row) => row.currency === currencies[0]).slice(0, BARS);
    const single = distinct(here.map((row) => row.endpoint)).length === 1;
    const name = (row) => (single ? row.plan : `${row.endpoint} · ${row.plan}`);
    const bars = shown.flatMap((row) =>
      buckets.flatMap((bucket, order) =>
        row.usd[order]
          ? [{
              fleet: name(row), x: row.usd[order], order, colour: `var(--bucket-${bucket.replaceAll("_", "-")})`,
              tip: { [DATA.words[bucket]]: money(row.usd[order], row.currency), "of the year": percent(row.usd[order] / row.year), endpoint: row.endpoint, plan: row.plan },
            }]
          : []
      )
    );
    const largest = Math.max(0, ...shown.map((row) => row.year));
    draw(figure.querySelector(".chart"), {
      kind: "ledger",
      values: {
        height: 34 * Math.max(1, shown.length),
        x_title: `${currencies[0]} a year`, x_format: largest >= 1e4 ? ".2~s" : ",~f",
        description: `The year of ${shown.length} fleets for ${demand.value}, split over buckets; the table below has the figures`,
      },
      data: { buckets: bars },
    });
    const used = buckets.filter((_, at) => here.some((row) => row.usd[at]));
    figure.querySelector(".legend").replaceChildren(
      ...used.map((bucket) => make("li", { class: `bucket-${bucket.replaceAll("_", "-")}` }, DATA.words[bucket]))
    );
    const more = here.length > shown.length ? [`${shown.length} of ${here.length} are drawn, the cheapest; the table has all`] : [];
    const peak = here.some((row) => row.at_peak) ? ["the demand states no mean rate: it stands at its peak"] : [];
    note(figure, [...more, ...peak].join("; "));
    const heads = [{ text: "Fleet" }, { text: "Plan" }, ...used.map((b) => ({ text: DATA.words[b].split(":")[0], n: 1 })), { text: "The year", n: 1 }];
    fillTable(
      figure.querySelector("table"), heads,
      here.map((row) => [row.endpoint, row.plan, ...used.map((b) => { const usd = row.usd[buckets.indexOf(b)]; return exact(cents(usd, row.currency), usd); }), exact(cents(row.year, row.currency), row.year)])
    );
  };
  listen(figure, redraw);
}

function trendFigure(figure) {
  const { series } = DATA.trends;
  const [which, plan] = [picked(figure, "series"), picked(figure, "plan")];
  const name = (s) => `${s.endpoint} × ${s.workload}, ${s.slo}`;
  // where something moved comes first
  const moved = series.filter((s) => s.marks.some((mark) => mark.kind === "regression" || mark.kind === "better"));
  offer(which, distinct([...moved, ...series].map(name)));
  const redraw = () => {
    const here = series.filter((s) => name(s) === which.value);
    offer(plan, distinct(here.map((s) => s.plan)));
    const s = here.find((each) => each.plan === plan.value);
    const nights = s.minutes.map((minute, at) => ({
      at: minute * 60000, y: s.values[at], low: s.lows[at], high: s.highs[at],
      tip: { night: new Date(minute * 60000).toISOString().slice(0, 16).replace("T", " "), [s.per]: money(s.values[at], s.currency), ...(s.lows[at] === null ? {} : { "95 %": `${money(s.lows[at], s.currency, 3)}–${money(s.highs[at], s.currency, 3)}` }) },
    }));
    const nearest = (minute) => nights.filter((night) => night.y !== null).reduce((a, b) => (Math.abs(b.at - minute * 60000) < Math.abs(a.at - minute * 60000) ? b : a), { at: -1e18, y: null });
    const marks = s.marks.map((mark) => ({ ...mark, at: mark.minute * 60000, y: nearest(mark.minute).high ?? nearest(mark.minute).y, tip: { what: mark.text } }));
    const values = nights.flatMap((night) => [night.y, night.high]).filter((value) => value !== null);
    const day = 86400000;
    draw(figure.querySelector(".chart"), {
      kind: "trend",
      values: {
        y_title: `${s.currency} per ${s.per}, every server full`,
        x_scale: { type: "utc", domain: [nights[0].at - 2 * day, nights[nights.length - 1].at + 2 * day] },
        y_scale: { domain: [0, 1.2 * Math.max(...values, 0) || 1], nice: false },
        description: `Cost of ${s.per} over ${nights.length} points in time: ${name(s)} on ${s.plan}; the table below has the figures`,
      },
      data: { nights, marks },
    });
    const told = s.marks.map((mark) => make("li", { class: mark.kind }, `${new Date(mark.minute * 60000).toISOString().slice(0, 10)}: ${mark.text}`));
    figure.querySelector(".marks").replaceChildren(...told);
    fillTable(
      figure.querySelector("table"),
      [{ text: "Night (UTC)" }, { text: `Per ${s.per}`, n: 1 }, { text: "95 % interval", n: 1 }],
      nights.filter((night) => night.y !== null).reverse().map((night) => [night.tip.night, exact(money(night.y, s.currency), night.y), night.tip["95 %"] ?? DASH])
    );
  };
  listen(figure, redraw);
}

for (const [id, show] of Object.entries({ interactivity: interactivityFigure, ledger: ledgerFigure, trend: trendFigure })) {
  const figure = document.getElementById(`figure-${id}`);
  if (figure) show(figure);
}
drawCurves(document);
