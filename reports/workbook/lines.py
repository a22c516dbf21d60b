"""A line of a calculating sheet: name, words, unit, formula, and where the transforms have the same figure."""

from dataclasses import dataclass, replace

from reports.workbook.formulas import ceiling

PAID = ("own", "server", "gpu", "unit")
"""What plans charge for, but for an API: own and rented servers, GPUs, provisioned units."""
CENTS, MONEY, TINY = "cents", "money", "tiny"
"""Number formats with a plan's currency: to two decimals, to six, to nine."""
COUNT, RATE, SHARE = "#,##0", "#,##0.0000", "0.0%"

Formula = str | dict[str, str]
"""Of every plan, or by what the plan charges for (PAID, api); a plan that is not in it has no such line."""


@dataclass(frozen=True)
class Line:
    """One line: its cells are called `name`, with the end of a rate (`@`) or a plan's number behind it."""

    name: str
    label: str
    unit: str
    formula: Formula
    number: str
    source: tuple[str, ...] = ()
    """Table and column of the transforms' own figure, and what else picks its row; empty for a step on the way."""
    optional: tuple[str, ...] = ()
    """Names in the formula that may be empty, or that are text."""
    needs: tuple[str, ...] = ()
    """Names that must be known beside those in the formula."""
    is_total: bool = False

    def of(self, kind: str) -> str | None:
        """The formula for a plan that charges for `kind`."""
        return self.formula if isinstance(self.formula, str) else self.formula.get(kind)

    def at(self, end: str, label: str | None = None) -> "Line":
        """The same at an end of the rate's interval; without a `label` of its own it is a step on the way to a price."""
        formula = self.formula
        ended = (
            formula.replace("@", end)
            if isinstance(formula, str)
            else {k: f.replace("@", end) for k, f in formula.items()}
        )
        source = () if end and label is None else self.source
        words = {"_at_hi": " – rate at its 95 % high", "_at_lo": " – rate at its 95 % low"}.get(end, "")
        return replace(
            self, name=self.name.replace("@", end), label=label or self.label + words, formula=ended, source=source
        )


def for_all(kinds: tuple[str, ...], formula: str, **others: str) -> dict[str, str]:
    """One formula for several kinds of plan, and others for others."""
    return {**dict.fromkeys(kinds, formula), **others}


def housed(instances: str, per_server: str) -> str:
    """Servers for instances: none straddles two servers that could hold it."""
    fitting = ceiling(f"{instances}/INT({per_server}/gpus_per_instance)")
    spread = f"{instances}*{ceiling(f'gpus_per_instance/{per_server}')}"
    return f"IF(gpus_per_instance<={per_server}, {fitting}, {spread})"


def in_a_server(per_server: str) -> str:
    """Instances, or a part of one, that a server holds."""
    spread = f"1/{ceiling(f'gpus_per_instance/{per_server}')}"
    return f"IF(gpus_per_instance<={per_server}, INT({per_server}/gpus_per_instance), {spread})"


def tokens_usd(tokens: str) -> str:
    """What tokens cost at list prices, a million times: `tokens` is a class of requests, or empty for the means."""
    of = f"{tokens}_" if tokens else ""
    cached = f"({of}input_tokens-{of}cached_tokens)*price_in+{of}cached_tokens*price_cached"
    return f"IF(COUNT(price_cached)=0, {of}input_tokens*price_in, {cached})"


def answers_usd(tokens: str) -> str:
    """The same of output tokens, with reasoning tokens at their own price."""
    of = f"{tokens}_" if tokens else ""
    apart = f"({of}output_tokens-{of}reasoning_tokens)*price_out+{of}reasoning_tokens*price_reasoning"
    return f"IF(COUNT(price_reasoning)=0, {of}output_tokens*price_out, {apart})"


def maybe(tokens: str) -> tuple[str, ...]:
    """What the two may leave out: prices, and the counts that only those prices need."""
    of = f"{tokens}_" if tokens else ""
    return ("price_cached", "price_reasoning", f"{of}cached_tokens", f"{of}reasoning_tokens")
