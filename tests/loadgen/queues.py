"""What a queue of jobs holds, and the texts that are in their requests."""

import functools
from collections.abc import Iterator

import httpx
import orjson

from loadgen.jobs import Job, JobQueue
from loadgen.spec import ShardSpec


def queue_of(spec: ShardSpec) -> JobQueue:
    """A queue with a client that sends nothing."""
    return JobQueue(spec, _client())


@functools.cache
def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200)))


def all_jobs(spec: ShardSpec) -> list[Job]:
    """Every opening request of a shard that has a limit."""
    return list(taken(queue_of(spec)))


def taken(queue: JobQueue) -> Iterator[Job]:
    """Jobs until there are none."""
    while queue:
        yield queue.take()


def texts(job: Job) -> list[str]:
    """The contents of a job's messages, or its prompt."""
    body = orjson.loads(job.request.content)
    if "prompt" in body:
        return [body["prompt"]]
    return [message["content"] for message in body.get("messages", body.get("input"))]


def text(job: Job) -> str:
    """The one text of a single-turn job."""
    [only] = texts(job)
    return only
