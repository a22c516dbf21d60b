"""Servers of ours as children: ready, or a reason why not."""

import httpx
import pytest

from flows.children import served
from schemas.errors import EndpointError


async def test_a_server_lives_as_long_as_the_block() -> None:
    async with served(["endpoints.reference"], "the reference endpoint") as ready:
        assert httpx.get(f"{ready['url']}/models", trust_env=False).status_code < 500
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{ready['url']}/models", trust_env=False)


async def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(
        EndpointError, match=r"(?s)the reference endpoint ended before it was ready: .*--no-such-option"
    ):
        async with served(["endpoints.reference", "--no-such-option"], "the reference endpoint"):
            pass
