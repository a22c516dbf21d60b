"""Whether the Prefect API that a flow would use is there. Imports prefect: call `quiet_prefect` first."""

import httpx
from prefect.settings import get_current_settings

from schemas.errors import UsageError


def reach_prefect() -> str | None:
    """URL of the Prefect API that is set; null where none is, and each command starts its own.

    Raises:
        UsageError: one is set and does not answer.

    """
    url = get_current_settings().api.url
    if url is None:
        return None
    try:
        httpx.get(f"{url}/health", timeout=10)
    except httpx.HTTPError as error:
        raise UsageError(
            f"PREFECT_API_URL (or the Prefect profile) is {url}, and nothing answers there ({error}): start that server, "
            "or unset it to run without one"
        ) from None
    return url
