"""From the way the first request failed to what the user can do about it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from loadgen.spec import Target

_REFUSED_FIELD = (
    "the server refuses the request: if it names a field, change it with extra_body (--extra-body), "
    'where null leaves a field out, such as {"stream_options": null}'
)
_NOT_LET_IN = re.compile(
    r"opens no way to \S+: (407\b|Invalid username/password|Requested .* from proxy server, but got )"
)
_NO_TLS = re.compile(
    r"did not answer the TLS handshake"
    r"|^TLS with .* failed: .*(WRONG_VERSION|PACKET_LENGTH|RECORD_LAYER|EOF|closed|reset|Broken pipe)"
)
_BY_STATUS = {
    400: _REFUSED_FIELD,
    422: _REFUSED_FIELD,
    401: "the server wants a key: put it in an environment variable and name that with api_key_env (--api-key-env NAME)",
    403: "the server refuses this key: check the variable that api_key_env (--api-key-env) names",
    404: "check the model name, the url and the api (chat, completions or responses): the server knows no such thing",
    429: "the server limits the rate: lower the concurrency or raise the limit there",
}
_BY_OUTCOME = {
    "connect_error": "is the server up, and are host and port right?",
    "empty": "the server answered without a token: does the model generate text with these settings?",
    "malformed": "the server must stream server-sent events in the OpenAI format (stream: true)",
    "truncated": "the server broke off the stream: its log may say why",
}


def advice(target: Target, failure: dict[str, Any] | None, limit: str) -> str:
    """One line: what failed at `target`, how, and what to do; `limit` is what the answer was waited for."""
    return f"{target.url} ({target.api}, model {target.model!r}) cannot be measured: {symptom(failure)}. What to do: {remedy(target, failure, limit)}"


def symptom(failure: dict[str, Any] | None) -> str:
    """How it failed: outcome and message, on one line."""
    failure = failure or {}
    return f"{failure.get('outcome', 'failed')}: {' '.join(str(failure.get('error') or 'no message').split())}"


def remedy(target: Target, failure: dict[str, Any] | None, limit: str) -> str:
    """What the user can do about it; `limit` is what the answer was waited for."""
    failure = failure or {}
    outcome, status = str(failure.get("outcome", "failed")), failure.get("http_status")
    error = str(failure.get("error"))
    if "CERTIFICATE_VERIFY_FAILED" in error:
        return "the certificate is not one that this machine trusts: install its authority or name it in SSL_CERT_FILE, or verify_tls: false (--no-verify-tls)"
    if _NO_TLS.search(error):
        return "the server takes connections and does not answer in TLS: does it speak http:// rather than https://, or is it stuck?"
    if error.startswith("TLS with "):
        return "the server speaks TLS, but not as this machine does (versions, ciphers, a client's certificate): its log may say why"
    if status is not None and 300 <= status < 400:
        return "the server redirects: give the address that it redirects to as the url"
    if status == 401 and target.api_key_env:
        return f"the server refuses the key in {target.api_key_env}"
    if target.proxy and (status == 407 or _NOT_LET_IN.search(error)):
        return _let_in(target.proxy_auth_env)
    swallowed = outcome == "timeout" and not failure.get("sent", True)
    if (swallowed or outcome == "connect_error") and target.proxy:
        return f"is the proxy {target.proxy} up, and may it reach the server?"
    if swallowed:
        return "nothing answers there: are host and port right, and does a firewall swallow what is sent?"
    if outcome == "timeout" and status not in _BY_STATUS:
        stuck = "is it stuck, does it not speak HTTP/2 (http2)," if target.http2 and status is None else "is it stuck,"
        return f"the server took the request and did not answer in time: {stuck} or is {limit} too short?"
    if status is None and target.http2 and outcome in ("truncated", "malformed"):
        return (
            "does the server speak HTTP/2? Leave http2 (--http2) out where it does not. Its log may say why it hangs up"
        )
    if status is None and (outcome == "truncated" or error.startswith("not an HTTP/1.1 response")):
        return "is it a server of this API, and is it http or https there? Its log may say why it hangs up"
    if outcome == "malformed" and error.startswith("the stream carried an error"):
        return "the server took the request and failed at it: its log may say more"
    if outcome == "malformed" and error.startswith("content-encoding"):
        return "something on the way compresses the stream although nobody asked for it: turn that off for this address"
    return _BY_STATUS.get(status or 0) or _BY_OUTCOME.get(outcome) or "the server's log may say more"


def _let_in(variable: str | None) -> str:
    if variable:
        return f"the proxy refuses the user and password in {variable}: USER:PASSWORD as they are, not percent-encoded"
    return "the proxy wants a user and password: put USER:PASSWORD in an environment variable and name that with proxy_auth_env (--proxy-auth-env NAME)"


def unscaled(endpoint: str, points: Sequence[Mapping[str, int | None]]) -> str:
    """Why a probe's `points` ("chars", "input_tokens") do not tell how long a token is, and what that costs."""
    counts = sorted({point["input_tokens"] for point in points if point["input_tokens"] is not None})
    if not counts:
        return (
            f"{endpoint} sends no usage, so its tokens cannot be counted: rates of requests and latencies are "
            "measured, costs per token stay unknown. Turn on usage in streams (stream_options.include_usage) at the server"
        )
    return (
        f"{endpoint} counts {' or '.join(map(str, counts[:2]))} tokens in prompts of {min(p['chars'] or 0 for p in points)} "
        f"to {max(p['chars'] or 0 for p in points)} characters, which does not tell how long a token is: prompts are cut "
        "to 4 characters a token"
    )
