"""A named limit in Prefect for each endpoint, beside the file lock: it holds between machines and homes, too.

Only with a standing server. An ephemeral one belongs to a single command, and a `kill -9` would leave its slot taken for
ever. A standing one takes the slot back `LEASE_S` and its own round (15 s) after the holder died.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
from prefect.client.orchestration import get_client
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError, concurrency
from prefect.exceptions import PrefectException
from prefect.settings import get_current_settings

from flows.progress import Progress
from schemas.errors import EndpointBusyError

LEASE_S = 60.0
"""Of a slot, renewed as long as its holder lives; Prefect takes no less."""
_ASK_S = 2.0
_Slot = AbstractAsyncContextManager[None]


def limit_name(endpoint: str) -> str:
    """Of the limit, as `prefect gcl ls` lists it."""
    return f"ratecard-endpoint-{endpoint}"


@asynccontextmanager
async def endpoint_slot(
    endpoint: str, *, wait_s: float, stop: asyncio.Event, progress: Progress
) -> AsyncIterator[None]:
    """Hold the only slot of `endpoint`, waiting up to `wait_s` seconds for it.

    A server that gives no answer guards nothing: that is told, and the file lock has to do.

    Raises:
        EndpointBusyError: a run elsewhere has it.

    """
    slot = None
    if get_current_settings().api.url is not None:
        try:
            slot = await _slot(endpoint, wait_s, stop, progress)
        except (httpx.HTTPError, PrefectException, ConcurrencySlotAcquisitionError) as error:
            progress.say(f"Prefect gives no slot ({error}): the file lock alone guards {endpoint}")
    try:
        yield
    finally:
        if slot is not None:
            with contextlib.suppress(httpx.HTTPError, PrefectException):  # the lease ends by itself
                await slot.__aexit__(None, None, None)


async def _slot(endpoint: str, wait_s: float, stop: asyncio.Event, progress: Progress) -> _Slot:
    """The entered context that holds the slot."""
    name, deadline, told = limit_name(endpoint), asyncio.get_running_loop().time() + wait_s, False
    async with get_client() as client:
        await client.upsert_global_concurrency_limit_by_name(name, 1)
    while True:
        # a lease that cannot be renewed (the server was restarted) must not end a measurement
        slot = concurrency(
            name, lease_duration=LEASE_S, max_retries=0, strict=True, raise_on_lease_renewal_failure=False
        )
        try:
            await slot.__aenter__()
            return slot
        except ConcurrencySlotAcquisitionError as error:
            if not _is_taken(error):
                raise
        if stop.is_set() or asyncio.get_running_loop().time() >= deadline:
            raise EndpointBusyError(
                f"endpoint {endpoint} is being measured by a run elsewhere (Prefect's limit {name} has no free slot): two "
                f"loads at once would spoil both. If there is none, free it: prefect gcl update {name} --active-slots 0"
            )
        if not told:
            progress.say(f"{endpoint} is being measured by a run elsewhere; waiting up to {wait_s:.0f} s for it to end")
            told = True
        await asyncio.sleep(_ASK_S)


def _is_taken(error: ConcurrencySlotAcquisitionError) -> bool:
    cause = error.__cause__
    return isinstance(cause, httpx.HTTPStatusError) and cause.response.status_code == httpx.codes.LOCKED
