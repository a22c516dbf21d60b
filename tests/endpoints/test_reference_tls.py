"""The reference endpoint over TLS: the same answers, and stamps that are still the kernel's."""

import json
import socket
import ssl
import time
from pathlib import Path

import httpx
import pytest

from tests.certificate import make_certificate
from tests.endpoints.children import Child, Reference

BODY = {"model": "m", "prompt": "secret", "stream": True, "max_tokens": 40}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


def serve(reference: Reference, certificate: Path, *arguments: object) -> tuple[Child, ssl.SSLContext]:
    child = reference("--tls-cert", certificate, "--tls-key", certificate, *arguments)
    return child, ssl.create_default_context(cafile=str(certificate))


def test_a_verifying_client_is_served_over_one_connection(reference: Reference, certificate: Path) -> None:
    child, context = serve(reference, certificate)
    assert child.url.startswith("https://localhost:")
    with httpx.Client(verify=context, timeout=10) as client:
        for _ in range(2):
            assert client.post(f"{child.url}/completions", json=BODY).text.count(" tok") == 40
        assert client.get(f"{child.url}/models").status_code == 200
    records = reference.truth(child)
    assert [len(record["sent_ns"]) for record in records] == [40, 40]


@pytest.mark.skipif("not sys.platform.startswith('linux')", reason="kernel stamps are Linux's")
def test_the_stamps_over_tls_are_the_kernels_and_agree_with_the_client(reference: Reference, certificate: Path) -> None:
    child, context = serve(reference, certificate, "--ttft-ms", 100, "--itl-ms", 10)
    content = json.dumps(BODY | {"max_tokens": 5}).encode()
    seen_ns: list[int] = []
    with (
        socket.create_connection(("127.0.0.1", child.address[1])) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        sock.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(content) + content)
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += sock.recv(65536)
            seen_ns += [time.time_ns()] * (data.count(b" tok") - len(seen_ns))
    (record,) = reference.truth(child)
    assert (record["stamp"], record["received_stamp"]) == ("kernel", "kernel")
    for number, (left_ns, came_ns) in enumerate(zip(record["sent_ns"], seen_ns, strict=True)):
        assert -1e6 < left_ns - (record["received_ns"] + 100e6 + number * 10e6) < 500e6
        assert -1e6 < came_ns - left_ns < 500e6


def test_a_large_answer_to_a_slow_reader_is_whole(reference: Reference, certificate: Path) -> None:
    child, context = serve(reference, certificate, "--ttft-ms", 0, "--itl-ms", 0, "--tokens-per-chunk", 1000)
    content = json.dumps(BODY | {"max_tokens": 1_000_000}).encode()
    with (
        socket.create_connection(("127.0.0.1", child.address[1])) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        sock.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(content) + content)
        time.sleep(0.3)  # both kernels' buffers are full by now
        pieces = [sock.recv(1 << 20)]
        while not pieces[-1].endswith(b"0\r\n\r\n"):
            pieces.append(sock.recv(1 << 20))
    assert b"".join(pieces).count(b" tok") == 1_000_000


def test_plain_http_and_distrust_end_the_connection_and_others_are_served(
    reference: Reference, certificate: Path
) -> None:
    child, context = serve(reference, certificate)
    with socket.create_connection(("127.0.0.1", child.address[1])) as sock:
        sock.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
        while sock.recv(65536):  # an alert, and the end
            pass
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{child.url}/models", timeout=10)
    assert httpx.get(f"{child.url}/models", verify=context, timeout=10).status_code == 200


def test_a_certificate_that_is_none_is_an_error_event_that_names_it(
    reference: Reference, certificate: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.pem"
    key = tmp_path / "key.pem"
    key.write_text(certificate.read_text().partition("-----BEGIN CERTIFICATE")[0])
    for broken in (missing, key):
        child = reference("--tls-cert", broken, "--tls-key", key)
        assert child.ready["event"] == "error"
        assert str(broken) in child.ready["message"]
        assert child.close_stdin() == 1
