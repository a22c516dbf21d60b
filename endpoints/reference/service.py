"""What the endpoint answers to a request."""

from dataclasses import dataclass

from endpoints.reference import faults, request, script
from endpoints.reference.capacity import Capacity
from endpoints.reference.chat import Chat, Completions
from endpoints.reference.faults import Fault
from endpoints.reference.metrics import metrics
from endpoints.reference.play import Answer
from endpoints.reference.prefix_cache import PrefixCache
from endpoints.reference.request import ApiError, Generation, HttpRequest
from endpoints.reference.responses import Responses

DEFAULT_MODEL = "reference"
_DIALECTS: dict[str, script.Dialect] = {"chat": Chat(), "completions": Completions(), "responses": Responses()}


@dataclass(frozen=True, slots=True)
class Settings:
    """How to answer. `model` None serves any model, `api_key` None needs no key.

    `fault` befalls every `fault_every`-th request to generate.
    """

    timing: script.Timing
    default_tokens: int = 64
    tokens_per_chunk: int = 1
    reasoning_tokens: int = 0
    model: str | None = None
    api_key: str | None = None
    usage: bool = True
    stream: bool = True
    metrics: bool = True
    prefix_cache: bool = False
    fault: Fault | None = None
    fault_every: int = 1


class Service:
    """Answers requests; `capacity` is only looked at, for /metrics."""

    def __init__(self, settings: Settings, capacity: Capacity) -> None:
        self._settings, self._capacity = settings, capacity
        self._cache = PrefixCache() if settings.prefix_cache else None
        self._generations = 0

    @property
    def model(self) -> str:
        """The name of what is served."""
        return self._settings.model or DEFAULT_MODEL

    def answer(self, http: HttpRequest) -> Answer:
        """Answer one request; raises ApiError."""
        if http.path == "/metrics" and http.method == "GET":  # engines ask for no key here
            if not self._settings.metrics:
                raise ApiError(404, "invalid_request_error", "This endpoint has no /metrics.")
            return Answer(metrics(self.model, self._capacity, self._cache))
        request.check_key(http, self._settings.api_key)
        if http.path == "/v1/models" and http.method == "GET":
            return Answer(script.models([self.model]))
        generation = request.read_generation(http, self._settings.model)
        fault = self._fault(http)
        refusal = faults.refusal(fault) if fault is not None else None
        return self._generate(generation, fault) if refusal is None else Answer(refusal)

    def _fault(self, http: HttpRequest) -> Fault | None:
        """Return what is to go wrong with this request: its own wish, or the server's habit."""
        self._generations += 1
        wish = http.headers.get(faults.HEADER)
        if wish is None:
            return self._settings.fault if self._generations % self._settings.fault_every == 0 else None
        try:
            return faults.parse_fault(wish)
        except ValueError as error:
            raise ApiError(400, "invalid_request_error", f"{faults.HEADER}: {error}.") from None

    def _generate(self, generation: Generation, fault: Fault | None) -> Answer:
        settings, dialect = self._settings, _DIALECTS[generation.api]
        kind = None if fault is None else fault.kind
        streamed = settings.stream and generation.stream
        tokens = 0 if kind == "empty" else generation.max_tokens or settings.default_tokens
        speech = script.Speech(
            model=generation.model,
            tokens=tokens,
            reasoning=0 if generation.api == "completions" else min(settings.reasoning_tokens, tokens),
            tokens_per_chunk=settings.tokens_per_chunk if streamed else max(1, tokens),
        )
        usage = script.Usage(
            prompt=generation.prompt_tokens,
            completion=2 * tokens if kind == "wrong_usage" else tokens,
            cached=0 if self._cache is None else self._cache.cached_tokens(generation),
            reasoning=speech.reasoning,
        )
        told = settings.usage and (generation.include_usage or not streamed)
        play = (script.stream if streamed else script.whole)(dialect, speech, usage if told else None, settings.timing)
        if fault is not None:
            failure = dialect.failure(faults.FAILURE) if streamed else None
            play = faults.spoil(play, fault, speech.tokens_per_chunk, failure)
        return Answer(play, generation, tokens, speech.tokens_per_chunk, kind)
