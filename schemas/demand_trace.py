"""The rates of a demand that is stated as recorded arrivals: how often how many requests came in a bin of time."""

from collections import Counter, defaultdict

from schemas.catalog.demands import DemandTrace, RateSpan
from schemas.errors import SpecError
from schemas.trace_file import arrival_times


def rates_of(trace: DemandTrace) -> list[RateSpan]:
    """Rates (requests/s) and the share of the time that each held, lowest first.

    Bins of `bin_s` seconds from the first arrival on, empty ones too; what is left at the end joins the last bin, for a
    rate over a moment says nothing. Raises SpecError with file and line, or where the trace is shorter than a bin.
    """
    times = arrival_times(trace.file, trace.format, trace.limit)
    span_s = times[-1] - times[0]
    bins = int(span_s / trace.bin_s)
    if bins < 1:
        raise SpecError(
            f"{trace.file}: {len(times)} arrivals within {span_s:g} s, less than one bin of {trace.bin_s:g} s: lower bin_s"
        )
    counts = Counter(min(int((at - times[0]) / trace.bin_s), bins - 1) for at in times)
    held_s: defaultdict[float, float] = defaultdict(float)
    for index in range(bins):
        seconds = trace.bin_s if index < bins - 1 else span_s - (bins - 1) * trace.bin_s
        held_s[counts[index] / seconds * trace.scale] += seconds
    return [RateSpan(rps=rps, share=held_s[rps] / span_s) for rps in sorted(held_s)]
