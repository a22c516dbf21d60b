"""Endpoints of the catalog (endpoints.yaml): one served model on one hardware and engine configuration."""

from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from schemas.catalog_base import EnvName, Model, Name, Positive, PositiveInt

_WEB = ("http", "https")
SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "api-key", "x-api-key"}


def _check_url(url: str, schemes: tuple[str, ...], secret_env: str) -> None:
    """Raise ValueError unless `url` is SCHEME://HOST[:PORT][/PATH]; a secret in it is never repeated."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # checks the range
    except ValueError as error:
        raise ValueError(f"not a URL: {error}") from None
    if "@" in parts.netloc:
        raise ValueError(
            f"a URL with a user or password would end in files and logs: name its variable with {secret_env}"
        )
    if parts.scheme not in schemes or not parts.hostname or " " in url:
        expected = "socks5://HOST:PORT" if "socks5" in schemes else "https://HOST, with or without /v1"
        raise ValueError(f"found {url!r}, expected http://HOST:PORT or {expected}")
    if parts.query or parts.fragment:
        raise ValueError(f"found {url!r}, expected no ?query and no #fragment: the API's paths are added at the end")


class Launch(Model):
    """A server that Ratecard ships and starts itself as a child process."""

    engine: Literal["llama"] = Field(description="llama: llama.cpp with a randomly initialised Llama")
    slots: PositiveInt = Field(4, description="Requests that the engine decodes at once")


class Endpoint(Model):
    """One served model on one hardware and engine configuration (endpoints.yaml)."""

    url: str | None = Field(None, description="API base, with or without /v1")
    launch: Launch | None = Field(None, description="Instead of url: a server that Ratecard starts")
    model: str | None = Field(None, description="Model name to send; a launched server names its own")
    api: Literal["chat", "completions", "responses"] = "chat"
    api_key_env: EnvName | None = Field(None, description="Environment variable that holds the key")
    headers: dict[str, str] = Field(default_factory=dict, description="Extra request headers, no secrets")
    extra_body: dict[str, Any] = Field(default_factory=dict, description="Extra fields of the request body")
    timeout_s: Positive = Field(600.0, description="Longest wait for one request")
    verify_tls: bool = True
    proxy: str | None = Field(
        None,
        description="Proxy to go through, http://, https:// or socks5://HOST:PORT; stamps are then the client's own",
    )
    proxy_auth_env: EnvName | None = Field(
        None, description="Environment variable that holds USER:PASSWORD for the proxy"
    )
    http2: bool = Field(False, description="Speak HTTP/2; stamps are then the client's own")
    metrics_url: str | None = Field(None, description="Prometheus page of the engine; null: /metrics beside the API")
    tokenizer: str | None = Field(
        None, description="A tokenizer.json, to build prompts to the token; null: by the probe"
    )
    engine: str | None = None
    engine_version: str | None = None
    precision: str | None = None
    accelerator: Name | None = Field(None, description="Such as h200; cpu for none; null if unknown")
    parallelism: str | None = Field(None, description="Such as tp8 or tep8")
    gpus_per_instance: PositiveInt = 1
    gpus_per_server: PositiveInt = 8
    role: Literal["aggregated", "prefill", "decode"] = "aggregated"
    instances_measured: PositiveInt = Field(1, description="Instances behind the url")
    quality_score: float | None = None
    quality_source: str | None = None
    memory_gib_per_gpu: Positive | None = None
    power_kw_per_gpu: Positive | None = Field(
        None, description="kW a GPU with all around it, for power budgets; null: as schemas/accelerators.py knows it"
    )

    @field_validator("url", "proxy", "metrics_url")
    @classmethod
    def _plain_url(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is not None and info.field_name == "proxy":
            _check_url(url, (*_WEB, "socks5", "socks5h"), "proxy_auth_env")
        elif url is not None:
            _check_url(url, _WEB, "api_key_env")
        return url

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, headers: dict[str, str]) -> dict[str, str]:
        if secret := sorted(name for name in headers if name.lower() in SECRET_HEADERS):
            env = "proxy_auth_env" if secret[0].lower() == "proxy-authorization" else "api_key_env"
            raise ValueError(f"{secret[0]} is a secret and does not belong into a file: name its variable with {env}")
        return headers

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.url is None) == (self.launch is None):
            raise ValueError("give either url (a running server) or launch (one that Ratecard starts)")
        if self.url is not None and self.model is None:
            raise ValueError("model is needed beside url: the name that the server knows")
        if self.proxy_auth_env and not self.proxy:
            raise ValueError("proxy is needed beside proxy_auth_env: who is told the user and password")
        if self.quality_score is not None and self.quality_source is None:
            raise ValueError("quality_source is needed beside quality_score: say where the score is from")
        return self
