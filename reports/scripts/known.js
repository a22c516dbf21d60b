// Arithmetic of the calculator over figures that may not be known: null, and whatever follows from it is null, never 0.
// The calculator is docs/economics.md in JavaScript, held against SQL in tests/reports/test_calculator.py.

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
