"""What do TLS records cost, and is a token's arrival still known? The same load in the clear and over TLS."""

from dataclasses import dataclass

from benchmarks.clients import Streams, observe
from benchmarks.tables import Section

STREAMS, ROUNDS = 256, 5


@dataclass(frozen=True)
class Row:
    """Our client, one worker. Errors are its figure minus the true one."""

    wire: str
    streams: int
    requests: int
    ttft_error_ms: float
    ttft_p99_error_ms: float
    itl_p99_error_ms: float
    cpu_us_per_token: float
    cpu_vs_plain: float
    merged_share: float | None


def run(quick: bool) -> list[Section]:
    """Once each."""
    load = Streams(64, 128) if quick else Streams(STREAMS, ROUNDS * STREAMS)
    plain, sealed = observe("ratecard", load), observe("ratecard", load, tls=True)
    rows = []
    for wire, seen in (("plain", plain), ("tls", sealed)):
        errors = seen.errors
        assert errors is not None
        rows.append(
            Row(
                wire=wire,
                streams=load.streams,
                requests=load.requests,
                ttft_error_ms=errors.ttft_error_mean_ms,
                ttft_p99_error_ms=errors.ttft_error_p99_ms,
                itl_p99_error_ms=errors.itl_error_p99_ms,
                cpu_us_per_token=seen.cpu_us_per_token,
                cpu_vs_plain=seen.cpu_us_per_token / plain.cpu_us_per_token,
                merged_share=seen.merged_share,
            )
        )
    return [Section("tls", "our client over TLS, beside the same load in the clear", rows)]
