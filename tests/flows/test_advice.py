"""What a failed probe tells the user to do."""

import pytest

from flows.advice import advice
from loadgen.spec import Target

TARGET = Target(url="http://h/v1", api="chat", model="m")
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
        (TARGET, {"outcome": "timeout", "http_status": None, "error": "no answer"}, "is it stuck"),
        (TARGET, None, "the server's log may say more"),
    ],
)  # fmt: skip
def test_each_failure_comes_with_what_to_do(target: Target, failure: dict[str, object] | None, says: str) -> None:
    said = advice(target, failure)
    assert said.startswith("http://h/v1 (chat, model 'm') cannot be measured")
    assert says in said
