"""What a failed probe tells the user to do."""

import pytest

from flows.advice import advice, unscaled
from loadgen.spec import Target

TARGET = Target(url="http://h/v1", api="chat", model="m")
PROXIED = Target(url="http://h/v1", api="chat", model="m", proxy="http://p:1")
HTTP2 = Target(url="http://h/v1", api="chat", model="m", http2=True)
KEYED = Target(url="http://h/v1", api="chat", model="m", api_key_env="MY_KEY")


@pytest.mark.parametrize(
    ("target", "failure", "says"),
    [
        (TARGET, {"outcome": "http_error", "http_status": 401, "error": "HTTP 401: no"}, "wants a key"),
        (KEYED, {"outcome": "http_error", "http_status": 401, "error": "HTTP 401: no"}, "refuses the key in MY_KEY"),
        (TARGET, {"outcome": "http_error", "http_status": 404, "error": "HTTP 404: no"}, "check the model name"),
        (TARGET, {"outcome": "http_error", "http_status": 400, "error": "HTTP 400: stream_options"}, "null leaves a field out"),
        (TARGET, {"outcome": "http_error", "http_status": 307, "error": "HTTP 307: "}, "the server redirects"),
        (TARGET, {"outcome": "connect_error", "http_status": None, "error": "CERTIFICATE_VERIFY_FAILED"}, "--no-verify-tls"),
        (TARGET, {"outcome": "timeout", "http_status": None, "error": "no answer"}, "is it stuck, or is timeout_s (--timeout) too short"),
        (HTTP2, {"outcome": "timeout", "http_status": None, "error": "no answer", "sent": True}, "does it not speak HTTP/2 (http2)"),
        (HTTP2, {"outcome": "timeout", "http_status": 200, "error": "no answer", "sent": True}, "is it stuck, or is"),
        (HTTP2, {"outcome": "truncated", "http_status": None, "error": "the connection broke: Broken pipe", "sent": True}, "does the server speak HTTP/2? Leave http2"),
        (TARGET, {"outcome": "timeout", "http_status": None, "error": "h:443 took the connection and did not answer the TLS handshake within 10 s", "sent": False}, "http:// rather than https://"),
        (PROXIED, {"outcome": "connect_error", "http_status": None, "error": "TLS with h:443 through the proxy p failed: the other side closed it", "sent": False}, "http:// rather than https://"),
        (TARGET, {"outcome": "connect_error", "http_status": None, "error": "TLS with h:443 failed: [SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1", "sent": False}, "speaks TLS, but not as this machine"),
        (TARGET, {"outcome": "timeout", "http_status": None, "error": "no connection to h:80 within 10 s", "sent": False}, "nothing answers there"),
        (PROXIED, {"outcome": "timeout", "http_status": None, "error": "the proxy p opens no way", "sent": False}, "is the proxy http://p:1 up"),
        (PROXIED, {"outcome": "timeout", "http_status": None, "error": "no answer", "sent": True}, "is it stuck"),
        (TARGET, {"outcome": "truncated", "http_status": None, "error": "the connection broke: Connection reset by peer", "sent": True}, "http or https"),
        (TARGET, {"outcome": "truncated", "http_status": 200, "error": "the connection broke: Connection reset by peer", "sent": True}, "broke off the stream"),
        (TARGET, {"outcome": "truncated", "http_status": None, "error": "the server closed the connection before it answered"}, "http or https"),
        (TARGET, {"outcome": "malformed", "http_status": 200, "error": "the stream carried an error: 500: boom"}, "failed at it: its log may say more"),
        (TARGET, {"outcome": "malformed", "http_status": None, "error": "not an HTTP/1.1 response: Expected HTTP/"}, "http or https"),
        (TARGET, {"outcome": "malformed", "http_status": 200, "error": "content-encoding 'br' was not asked for"}, "compresses the stream"),
        (TARGET, {"outcome": "malformed", "http_status": 200, "error": "an event is not JSON: x"}, "must stream server-sent events"),
        (TARGET, {"outcome": "empty", "http_status": 200, "error": "no text: data: a\n\ndata: b"}, "empty: no text: data: a data: b. What to do"),
        (TARGET, None, "the server's log may say more"),
    ],
)  # fmt: skip
def test_each_failure_comes_with_what_to_do(target: Target, failure: dict[str, object] | None, says: str) -> None:
    said = advice(target, failure, "timeout_s (--timeout)")
    assert said.startswith("http://h/v1 (chat, model 'm') cannot be measured")
    assert says in said


def test_a_server_that_counts_without_sense_is_not_told_to_send_usage() -> None:
    silent = unscaled("e", [{"chars": 90, "input_tokens": None}])
    assert "sends no usage" in silent
    constant = unscaled("e", [{"chars": 90, "input_tokens": 7}, {"chars": 110, "input_tokens": 7}])
    assert "counts 7 tokens in prompts of 90 to 110 characters" in constant
    assert "usage" not in constant
