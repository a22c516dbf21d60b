// How the page writes numbers, as reports/numbers.py does (a test holds them to each other).

const DASH = "–";
const SIGNS = { USD: "$", EUR: "€", GBP: "£" };
const signOf = (currency) => SIGNS[currency] ?? (currency ? `${currency} ` : "");

/** To a whole number, a half to the even one, as Python rounds. */
function evenly(x) {
  const whole = Math.round(x);
  return Math.abs(x % 1) === 0.5 && whole % 2 ? whole - 1 : whole;
}

/** Four significant figures, thousands separated, never in scientific notation; a dash for what is not known. */
function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return DASH;
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const decimals = digits - 1 - Math.floor(Math.log10(Math.abs(value)));
  const shown = decimals <= 0 ? evenly(value / 10 ** -decimals) * 10 ** -decimals : value;
  const places = Math.min(Math.max(decimals, 0), 100);
  const [whole, fraction] = shown.toFixed(places).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  const kept = (fraction ?? "").replace(/0+$/, "");
  return kept ? `${grouped}.${kept}` : grouped;
}

/** An amount with its currency: $0.03468, $262,500, CHF 12.50. */
function money(value, currency, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return number(value);
  const size = Math.abs(value);
  let text = size >= 1 && size < 1000 ? size.toFixed(2) : number(size, digits);
  if (value && (text.split(".")[1] ?? "").length === 1) text += "0";
  return `${value < 0 ? "−" : ""}${signOf(currency)}${text}`;
}

/** An amount to the cent: $1,234.50. */
function cents(value, currency) {
  if (value === null || value === undefined || !Number.isFinite(value)) return number(value);
  const text = Math.abs(value).toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return `${value < 0 ? "−" : ""}${signOf(currency)}${text}`;
}

/** A share as a percentage to three significant figures. */
const percent = (share) => (share === null || share === undefined || Number.isNaN(share) ? DASH : `${number(share * 100, 3)} %`);
