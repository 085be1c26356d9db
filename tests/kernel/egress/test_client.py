"""Outgoing requests to addresses that somebody else chose, each trick by its name."""

import gzip
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.test import override_settings

from kernel.egress import client, destinations
from kernel.egress.client import Answer
from kernel.egress.errors import (
    AddressRefused,
    AddressUnreachable,
    AddressUnresolved,
    AnswerTooLarge,
    AnswerTooLate,
    AnswerUnreadable,
    EgressFault,
)
from tests.kernel.egress.conftest import Names, Script, Server, answering

Serve = Callable[[Script], Server]


def ask(url: str, *, max_bytes: int = 1000, timeout_seconds: float = 5.0) -> Answer:
    return client.request("GET", url, max_bytes=max_bytes, timeout_seconds=timeout_seconds)


def fetch(url: str) -> Answer:
    return client.fetch(url, headers={"Authorization": "Bearer secret"}, max_bytes=1000, timeout_seconds=5.0)


def test_an_answer_comes_back_whole_and_the_server_sees_the_name(serve: Serve, names: Names) -> None:
    server = serve(answering("201 Created", b"hello", "X-Kind: test"))
    answer = client.request(
        "POST", server.url("/a?b=c"), headers={"X-A": "b"}, content=b"body", max_bytes=5, timeout_seconds=5
    )
    assert (answer.status, answer.content, answer.headers["x-kind"]) == (201, b"hello", "test")
    [seen] = server.requests
    assert seen.startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert f"host: hook.example:{server.port}".encode() in seen.lower()
    assert b"accept-encoding: identity" in seen.lower()


def test_a_name_is_looked_up_once_so_that_it_cannot_be_rebound(serve: Serve, names: Names) -> None:
    server = serve(answering())
    names.answers["hook.example"] = [["127.0.0.1"], ["169.254.169.254"]]
    assert ask(server.url()).status == 200
    assert names.asked == ["hook.example"]
    with pytest.raises(AddressRefused):
        ask(server.url())


def test_an_address_that_was_good_when_checked_is_checked_again_when_asked(
    serve: Serve, names: Names
) -> None:
    server = serve(answering())
    names.answers["hook.example"] = [["93.184.216.34"], ["127.0.0.2"]]
    destinations.check(server.url())
    with pytest.raises(AddressRefused):
        ask(server.url())
    assert server.requests == []


def test_one_bad_address_among_good_ones_is_enough_to_refuse(serve: Serve, names: Names) -> None:
    server = serve(answering())
    names.answers["hook.example"] = [["127.0.0.1", "10.0.0.1"]]
    with pytest.raises(AddressRefused):
        ask(server.url())


def test_a_second_server_of_a_name_is_tried_when_the_first_does_not_answer(
    serve: Serve, names: Names
) -> None:
    server = serve(answering())
    with override_settings(EGRESS_ALLOWED_NETWORKS=[ip_network("127.0.0.0/8")]):
        names.answers["hook.example"] = [["127.0.0.9", "127.0.0.1"]]
        assert ask(server.url()).status == 200


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "//169.254.169.254/",
        "http://user:password@hook.example/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "http://hook.example:6379/",
    ],
)
def test_a_redirect_to_what_may_not_be_asked_is_refused(serve: Serve, location: str) -> None:
    server = serve(answering("302 Found", b"", f"Location: {location}"))
    with pytest.raises(AddressRefused):
        fetch(server.url(host="127.0.0.1"))
    assert len(server.requests) == 1


def test_redirects_are_followed_three_times_and_no_more(serve: Serve, names: Names) -> None:
    def script(taken: socket.socket, head: bytes) -> None:
        number = int(head.split(b" ")[1].strip(b"/") or b"0")
        if number == 3:
            answering()(taken, head)
        answering("307 Temporary Redirect", b"", f"Location: /{number + 1}")(taken, head)

    server = serve(script)
    assert fetch(server.url("/0")).content == b"hello"
    endless = serve(answering("302 Found", b"", "Location: /again"))
    with pytest.raises(AddressRefused, match="more than 3"):
        fetch(endless.url())
    assert len(endless.requests) == 4


def test_a_plain_request_follows_no_redirect(serve: Serve, names: Names) -> None:
    server = serve(answering("302 Found", b"", "Location: /elsewhere"))
    assert ask(server.url()).status == 302
    assert len(server.requests) == 1


def test_credentials_do_not_follow_a_redirect_to_another_server(serve: Serve, names: Names) -> None:
    names.answers["other.example"] = [["127.0.0.1"]]
    other = serve(answering())
    first = serve(answering("302 Found", b"", f"Location: {other.url(host='other.example')}"))
    fetch(first.url())
    assert b"Bearer secret" in first.requests[0]
    assert b"Bearer secret" not in other.requests[0]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.2",
        "2130706434",
        "0x7f000002",
        "0177.0.0.2",
        "127.2",
        "0",
        "0.0.0.0",
        "localhost",
        "10.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
        "[64:ff9b::7f00:2]",
        "[2002:7f00:2::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "2852039166",
        "0xa9.0xfe.0xa9.0xfe",
        "0251.0376.0251.0376",
        "metadata。google。internal",
        "\uff11\uff12\uff17.\uff10.\uff10.\uff12",
        "①②⑦.⓪.⓪.②",
        "ⓛocalhost",
    ],
)
def test_no_spelling_of_an_inner_address_is_asked(serve: Serve, host: str) -> None:
    serve(answering())
    with (
        override_settings(EGRESS_ALLOWED_NETWORKS=[], EGRESS_ALLOWED_PORTS=[80]),
        pytest.raises((AddressRefused, AddressUnresolved)),
    ):
        ask(f"http://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "http://hook.example@127.0.0.2/",
        "http://hook.example:80@127.0.0.2/",
        "http://@hook.example/",
        "http://:@hook.example/",
        "http://user:password@hook.example/",
        "http://hook.example\\@127.0.0.2/",
        "http://hook.example /",
        "http://hook.example/\r\nX-Injected: 1",
        "http://hook.example/\x00",
        "http:///path",
        "http:hook.example",
        "//hook.example/",
        "hook.example",
        "",
        "ftp://hook.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://hook.example:22/",
        "http://hook.example:99999/",
        "http://[::1/",
        "http://xn--/",
        "http://hook.example/" + "a" * 3000,
    ],
)
def test_an_address_of_a_form_that_is_not_allowed_is_refused(serve: Serve, names: Names, url: str) -> None:
    serve(answering())
    with pytest.raises(AddressRefused):
        ask(url)
    assert names.asked == []


def test_a_name_in_another_script_is_asked_by_its_ascii_form(serve: Serve, names: Names) -> None:
    names.answers["xn--bcher-kva.example"] = [["127.0.0.1"]]
    server = serve(answering())
    assert ask(server.url(host="bücher.example")).status == 200
    assert b"xn--bcher-kva.example" in server.requests[0]


def test_plain_http_is_refused_unless_the_operator_allows_it(serve: Serve, names: Names) -> None:
    server = serve(answering())
    with override_settings(EGRESS_ALLOW_PLAIN_HTTP=False), pytest.raises(AddressRefused, match="https"):
        ask(server.url())


def test_a_name_that_nobody_knows_is_said_to_be_unknown(serve: Serve, names: Names) -> None:
    with pytest.raises(AddressUnresolved):
        ask("http://nobody.example/")


def test_a_closed_port_is_said_to_be_unreachable(serve: Serve, names: Names) -> None:
    serve(answering())
    with override_settings(EGRESS_ALLOWED_PORTS=[1]), pytest.raises(AddressUnreachable):
        ask("http://hook.example:1/")


def test_a_huge_body_is_cut_off_where_the_bound_is(serve: Serve, names: Names) -> None:
    sent = [0]

    def script(taken: socket.socket, head: bytes) -> None:
        taken.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            sent[0] += taken.send(b"x" * 65536)

    server = serve(script)
    with pytest.raises(AnswerTooLarge):
        ask(server.url(), max_bytes=100_000)
    assert sent[0] < 50_000_000


def test_huge_headers_are_cut_off_too(serve: Serve, names: Names) -> None:
    def script(taken: socket.socket, head: bytes) -> None:
        taken.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            taken.sendall(b"X-A: " + b"x" * 60000 + b"\r\n")

    with pytest.raises(AnswerUnreadable):
        ask(serve(script).url())


@pytest.mark.parametrize("opening", [b"", b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_drip_of_bytes_ends_at_the_one_deadline(serve: Serve, names: Names, opening: bytes) -> None:
    def script(taken: socket.socket, head: bytes) -> None:
        taken.sendall(opening)
        while True:
            taken.sendall(b"x")
            time.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(AnswerTooLate):
        ask(serve(script).url(), timeout_seconds=0.5)
    assert time.monotonic() - began < 2


def test_a_slow_resolver_ends_at_the_deadline_as_well(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    woken = threading.Event()

    def look_up(host: str, port: int) -> list[str]:
        woken.wait(5)
        return []

    monkeypatch.setattr(destinations, "look_up", look_up)
    began = time.monotonic()
    with pytest.raises(AnswerTooLate):
        ask("http://hook.example/", timeout_seconds=0.3)
    woken.set()
    assert time.monotonic() - began < 2


def test_a_gzip_bomb_is_never_inflated(serve: Serve, names: Names) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    server = serve(answering("200 OK", bomb, "Content-Encoding: gzip"))
    with pytest.raises(AnswerUnreadable):
        ask(server.url(), max_bytes=10_000_000)
    assert ask(server.url(), max_bytes=0).content == b""


def test_what_is_no_http_is_said_to_be_unreadable(serve: Serve, names: Names) -> None:
    def script(taken: socket.socket, head: bytes) -> None:
        taken.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

    with pytest.raises(AnswerUnreadable):
        ask(serve(script).url())


def test_a_proxy_of_the_environment_is_not_used(
    serve: Serve, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ask(serve(answering()).url()).status == 200


def test_tls_is_verified_against_the_name_and_not_the_number(
    serve: Serve, names: Names, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path, "hook.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    asked_for: list[str | None] = []
    context.sni_callback = lambda taken, name, _: asked_for.append(name)
    listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)
    server = Server(listener, answering())
    threading.Thread(target=run_past_faults, args=[server], daemon=True).start()
    names.answers["other.example"] = [["127.0.0.1"]]
    with override_settings(EGRESS_ALLOWED_PORTS=[server.port], EGRESS_CA_FILE=str(certificate)):
        assert ask(server.url().replace("http:", "https:")).status == 200
        with pytest.raises(AddressUnreachable, match="certificate"):
            ask(server.url(host="other.example").replace("http:", "https:"))
    with override_settings(EGRESS_ALLOWED_PORTS=[server.port]), pytest.raises(EgressFault):
        ask(server.url().replace("http:", "https:"))
    listener.close()
    assert asked_for[:2] == ["hook.example", "other.example"]


def run_past_faults(server: Server) -> None:
    """A listener over TLS raises for each client that does not like its certificate."""
    while server.listener.fileno() != -1:
        try:
            taken, _ = server.listener.accept()
        except OSError:
            continue
        threading.Thread(target=server._serve, args=[taken], daemon=True).start()


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    what = f"-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name}".split()
    where = ["-keyout", str(key), "-out", str(certificate), "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run(["openssl", "req", *what, *where], check=True, capture_output=True)
    return certificate, key
