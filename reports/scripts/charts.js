// Draws the charts: fills a template of reports/vega.py with a chart's values and rows.

const DATA = JSON.parse(document.getElementById("data").textContent);

/** `template` with every string "$name" replaced by values.name. */
function fill(template, values) {
  if (typeof template === "string") return template.startsWith("$") ? values[template.slice(1)] : template;
  if (Array.isArray(template)) return template.map((item) => fill(item, values));
  if (template === null || typeof template !== "object") return template;
  return Object.fromEntries(Object.entries(template).map(([name, item]) => [name, fill(item, values)]));
}

/** Draw into `element`, over what it shows; the last of several calls stands. */
async function draw(element, { kind, values, data }) {
  const turn = (element.turn = (element.turn ?? 0) + 1);
  const spec = { ...fill(DATA.templates[kind], values), datasets: data };
  const { finalize } = await vegaEmbed(element, spec, { actions: false, renderer: "svg" });
  if (turn !== element.turn) return finalize();
  // to a screen reader one picture with a name: its figures are in a table
  const picture = element.querySelector("svg");
  for (const part of picture.children) part.setAttribute("aria-hidden", "true");
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", values.description);
  element.finalize?.();
  element.finalize = finalize;
  element.dataset.drawn = "yes";
}

/** The charts of endpoints that are open; those of a closed one have no width yet. */
async function drawCurves(within) {
  for (const element of within.querySelectorAll("[data-curve]:not([data-drawn])")) {
    const closed = element.closest("details:not([open])");
    if (!closed) await draw(element, DATA.curves[element.dataset.curve]);
  }
}

/** Elements: `make("td", {class: "n"}, "text")`. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** `text` for the reader with the unrounded `value` beside it for a script. */
const exact = (text, value) =>
  value === null || value === undefined ? make("span", { class: "unknown" }, text) : make("data", { value: String(value) }, text);

/** Fill a select with texts; it keeps its choice where that is still there. */
function choices(select, texts, chosen = select.value) {
  select.replaceChildren(...texts.map((text) => make("option", { value: text }, text)));
  if (texts.includes(chosen)) select.value = chosen;
}

const distinct = (values) => [...new Set(values)];

/** A table of `heads` ({text, n}) and rows of cells (text or element; those under `n` to the right). */
function fillTable(table, heads, rows) {
  const cells = (tag, row, scope) =>
    row.map((cell, at) => make(at ? tag : "th", { ...(heads[at].n ? { class: "n" } : {}), ...(scope || !at ? { scope: scope ?? "row" } : {}) }, cell));
  table.tHead.replaceChildren(make("tr", {}, ...cells("th", heads.map((head) => head.text), "col")));
  table.tBodies[0].replaceChildren(...rows.map((row) => make("tr", {}, ...cells("td", row))));
}

for (const details of document.querySelectorAll("details.endpoint"))
  details.addEventListener("toggle", () => drawCurves(details));
document.getElementById("open-all")?.addEventListener("click", () => {
  for (const details of document.querySelectorAll("details.endpoint")) details.open = true;
});
