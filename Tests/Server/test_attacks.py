"""What nobody should send: a 4xx or a closed connection, and the others are served meanwhile."""
import json
import pathlib
import random
import socket
import ssl
import subprocess
import threading
import time

import pytest

from conftest import POEM, Server


@pytest.fixture(scope="module")
def small():
    """A server with little room."""
    options = ("--max-connections", "32", "--request-limit", "64KiB", "--max-queue", "4")
    with Server("--memory", "96MiB", *options) as running:
        yield running
        # It lives, answers, and has kept its promise.
        assert running.post("/v1/completions", {"prompt": POEM, "max_tokens": 3, "temperature": 0})[0] == 200
        assert running.metric("leafcutter_memory_peak_bytes") <= running.metric("leafcutter_memory_budget_bytes")
        assert running.stop() == 0


def send(server, data, seconds=20):
    """The status of what comes back; None for a closed connection."""
    with server.connect() as connection:
        connection.settimeout(seconds)
        try:
            connection.sendall(data)
            answer = connection.recv(65536)
        except (ConnectionError, socket.timeout):
            return None
    return int(answer.split()[1]) if answer.startswith(b"HTTP/") else None


def answers(server, data, seconds=20, wrap=lambda connection: connection, ends=False):
    """All that comes back until the end of the connection; empty where it is ended without a word.

    With `ends` nothing more comes from here, and that is said at once.
    """
    found = b""
    with wrap(server.connect()) as connection:
        connection.settimeout(seconds)
        try:
            connection.sendall(data)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                found += piece
        except ConnectionError:
            pass
    return found


def refusal(answer):
    """The status and the error of an answer, which is whole and nothing but our own error."""
    first, body = answer.split(b"\r\n\r\n", 1)
    lines = first.decode().lower().split("\r\n")
    assert "content-type: application/json" in lines and f"content-length: {len(body)}" in lines, answer
    error = json.loads(body)["error"]
    assert error["message"] and error["type"] and error["param"] is None
    return int(answer.split()[1]), error["message"]


def head(method="POST", path="/v1/completions", **headers):
    lines = {"Host": "localhost", "Content-Type": "application/json"}
    lines.update({name.replace("_", "-"): value for name, value in headers.items()})
    return (f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n").encode()


BODIES = [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"prompt":"\xff"}', b'{"prompt":"\\ud800"}', b'{"prompt":1}',
    b'{"prompt":[]}', b'{"prompt":[[]]}', b'{"prompt":[1,"a"]}', b'{"prompt":[99999999999999999999]}',
    b'{"prompt":[-1]}',
    b'{"prompt":"a","max_tokens":-1}', b'{"prompt":"a","max_tokens":1e99}', b'{"prompt":"a","n":1000000}',
    b'{"prompt":"a","temperature":"hot"}', b'{"prompt":"a","stop":[1]}', b'{"prompt":"a","logprobs":21}',
    b'{"prompt":"a","logit_bias":{"x":1}}', b'{"prompt":"a","tools":[{}]}', b'{"prompt":"a","session":"/etc/passwd"}',
    b'{"prompt":"a","delta":"/etc/passwd"}', b'{"prompt":"a","prompt_embedding":"../x"}',
    b'{"prompt":"a","trace":"/tmp/x"}',
    b'{"prompt":"a","draft_corpus":"/etc/passwd"}', b'{"prompt":"a","response_format":{"type":"json_object"}}',
    b'{"prompt":' + b"[" * 30_000 + b"]" * 30_000 + b"}", b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    b'{"prompt":"' + "春，".encode() * 9_000 + b'"}',
]


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_bad_body_is_a_bad_request(small, number):
    status, _, answer = small.post("/v1/completions", BODIES[number])
    assert 400 <= status < 500
    assert answer["error"]["message"] and answer["error"]["type"] == "invalid_request_error"


def test_random_bodies_never_end_it(small):
    rng = random.Random(1)
    good = json.dumps({
        "prompt": "春", "max_tokens": 1, "n": 1, "stop": ["a"], "logprobs": 1, "logit_bias": {"5": 1}, "echo": False,
        "stream": False, "temperature": 0.5}).encode()
    for route in ("/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/v1/fill", "/v1/score", "/tokenize"):
        for _ in range(60):
            body = bytearray(good)
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(body))
                body[at:at + rng.randint(0, 3)] = bytes(rng.randrange(256) for _ in range(rng.randint(0, 3)))
            assert small.post(route, bytes(body))[0] in (200, 400)


def test_heads_that_are_none(small):
    for data in (
        b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
        head(Content_Length="-1"), head(Content_Length="99999999999999999999"), head(Content_Length="x"),
        b"POST /v1/completions HTTP/1.1\r\nno colon\r\n\r\n", b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        head(Expect="a miracle", Content_Length="5"),
    ):
        status = send(small, data + b"\r\n\r\n", seconds=2)
        assert status is None or 400 <= status < 600


def chunked(body):
    return head(Transfer_Encoding="chunked") + body


def with_lines(*lines):
    return head()[:-2] + b"".join(line + b"\r\n" for line in lines) + b"\r\n0\r\n\r\n"


# Requests that cannot be read, or that others might read differently.
UNREADABLE = [
    (400, b"GET\r\n\r\n"), (505, b"GET / HTTP/9.9\r\n\r\n"), (400, b"GET /health\r\n\r\n"),
    *[(505, b"GET /health HTTP/%s\r\nHost: localhost\r\n\r\n" % version)
      for version in (b"1.10", b"1.11", b"0.9", b"-1.1", b"1.-1", b"2.0")],
    *[(501, with_lines(b"Transfer-Encoding: " + coding))
      for coding in (b"xchunked", b"gzip, chunked", b"chunked, chunked", b"identity", b"\tchunked", b"")],
    (501, with_lines(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")),
    *[(400, with_lines(*lines)) for lines in (
        (b"Transfer-Encoding: chunked", b"Content-Length: 5"), (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 2", b"Content-Length: 5"), (b"Content-Length: +2",), (b"Content-Length: 0x2",),
        (b"foo : b",), (b": x",), (b"foo: a\0b",), (b"foo: a\rb",), (b"foo: a", b" b"), (b"Host: localhost",),
        (b"Content-Length : 5",))],
    (400, b"POST /v1/completions HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, head("GET", "/health", Content_Length="35") + b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /health HTTP/1.1\r\n\r\n"), (400, b"GET http://localhost/health HTTP/1.1\r\nX: y\r\n\r\n"),
    (400, head("GET", "//localhost/health")), (400, head("GET", "health")),
    (404, b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    *[(413, chunked(size)) for size in (b"ffffffffffffffffffffff", b"7fffffffffffffff\r\n", b"200000\r\n", b"100001")],
    *[(400, chunked(body)) for body in (
        b"\r\n", b"0x5\r\n", b"+5\r\n", b" 5\r\n", b"5 5\r\n", b"5\n", b"5\r\n01234x", b";a=b\r\n",
        b"0\r\nHost: localhost\r\n\r\n")],
    (400, b"POST /v1/completions HTTP/1.1\r\nno colon\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n continued: from nothing\r\n\r\n"), (400, b"\x00\x01\x02 / HTTP/1.1 \xff\r\n\r\n"),
    (400, head(Content_Length="-1")), (400, head(Content_Length="x")), (400, head(Content_Length="5 5")),
    (413, head(Content_Length="99999999999999999999")), (417, head(Expect="a miracle", Content_Length="5")),
    (400, head(Transfer_Encoding="chunked") + b"xyz\r\n"), (400, head(Transfer_Encoding="chunked") + b"-5\r\n"),
    (400, head(Transfer_Encoding="chunked") + b"0\r\nno colon\r\n\r\n"),
    (431, b"GET /health HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"a" * 100) for i in range(200)) + b"\r\n"),
    (431, b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"), (431, b"a" * 100_000),
]


@pytest.mark.parametrize("number", range(len(UNREADABLE)))
@pytest.mark.parametrize("how", ["at once", "in pieces", "behind another"])
def test_what_cannot_be_read_has_our_own_error(small, number, how):
    status, data = UNREADABLE[number]
    if how == "in pieces":
        with small.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answer, rest = b"", data
            try:
                while rest:
                    connection.sendall(rest[:997])
                    rest = rest[997:]
                    time.sleep(0.002)
                while piece := connection.recv(65536):
                    answer += piece
            except ConnectionError:
                pass
    else:
        answer = answers(small, (head("GET", "/health") if how == "behind another" else b"") + data)
    if how == "behind another":
        first, answer = answer.split(b'{"status":"ok"}\n', 1)
        assert first.startswith(b"HTTP/1.1 200 ")
    assert refusal(answer)[0] == status


def test_what_nobody_knows_about_a_chunk_is_passed_over(small):
    body = json.dumps({"prompt": POEM, "max_tokens": 1}).encode()
    half = len(body) // 2
    one = head(Transfer_Encoding="chunked") + b"".join(
        b"%x%s\r\n%s\r\n" % (len(part), extension, part)
        for part, extension in ((body[:half], b";a=b"), (body[half:], b' ; c="5;"'), (b"", b";d"))
    )
    # Another request, behind it and in its last piece.
    request = one + head("GET", "/health", Connection="close")
    for pieces in (len(request), 1):
        with small.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for begin in range(0, len(request), pieces):
                connection.sendall(request[begin:begin + pieces])
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        assert answer.count(b"HTTP/1.1 200 ") == 2 and answer.endswith(b'{"status":"ok"}\n'), answer


def test_the_host_of_a_whole_url_is_one_of_the_names(small):
    assert send(small, head("GET", "http://localhost/health")) == 200
    assert send(small, head("GET", "http://localhost")) == 200
    assert send(small, head("GET", "http://evil.example/health")) == 403
    assert send(small, head("GET", "http://localhost@evil.example/health")) == 403
    assert send(small, head("GET", "http://localhost/health", Host="evil.example")) == 403


def test_a_whole_url_ends_no_connection(small):
    one = head("GET", "http://localhost/health")
    found = answers(small, one * 2 + head("GET", "http://localhost/health", Connection="close"))
    assert found.count(b"HTTP/1.1 200 ") == 3 and found.lower().count(b"connection: close") == 1


def test_a_page_of_another_site_is_refused_whatever_it_asks(small):
    origin = {"Origin": "https://evil.example"}
    for request in (
        head("GET", "/health", **origin), head("GET", "/v1/models", **origin), head("GET", "/", **origin),
        head("OPTIONS", Access_Control_Request_Method="POST", **origin), head(Content_Length="2", **origin) + b"{}",
        head("GET", "/metrics", Origin="null", Sec_Fetch_Site="cross-site"), head("GET", "/nothing", **origin),
    ):
        assert send(small, request) == 403, request
    for own in (small.url, "http://localhost"):
        assert send(small, head("GET", "/v1/models", Host=own.split("/")[-1], Origin=own)) == 200
    proxied = {"Origin": "https://ant.example", "Sec-Fetch-Site": "same-origin"}
    assert small.post("/v1/completions", {"prompt": POEM, "max_tokens": 1}, **proxied)[0] == 200


def test_the_log_and_the_metrics_count_the_same():
    """Of what nobody should send as well."""
    with Server("--memory", "96MiB", "--log", "json") as server:
        for status, data in UNREADABLE:
            assert refusal(answers(server, data))[0] == status
        for path in ("/health", "/nothing", "/v1/models/none", "/v1/completions", "/main.js"):
            send(server, head("GET", path))
        assert server.post("/v1/completions", {"prompt": POEM, "max_tokens": 1})[0] == 200
        counted = {}
        for line in server.get("/metrics").decode().splitlines():
            if line.startswith("leafcutter_requests_total{"):
                labels, count = line.split("{", 1)[1].rsplit("} ", 1)
                counted[labels] = int(float(count))
        assert server.stop() == 0
    lines = server.logged()
    # The figures are asked for before that request is over.
    assert lines[-1]["route"] == lines[-1]["path"] == "/metrics"
    logged = {}
    for line in lines[:-1]:
        labels = f'route="{line["route"]}",status="{line["status"]}"'
        logged[labels] = logged.get(labels, 0) + 1
        assert (line["path"] is None) == (line["method"] is None)
    assert logged == counted
    assert sum(line["path"] is None for line in lines) == len(UNREADABLE)


def test_a_request_that_ends_before_it_is_whole_is_logged():
    """Whoever ends it; a connection without a request is none."""
    begun = {
        "head": b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: head\r\nContent-",
        "body": head(**{"X-Request-Id": "body", "Content-Length": "9"}) + b"{",
        "chunk": head(**{"X-Request-Id": "chunk", "Transfer-Encoding": "chunked"}) + b"5\r\n{",
        "next": head("GET", "/health", **{"X-Request-Id": "whole"}) + head(**{
            "X-Request-Id": "next", "Content-Length": "9"}) + b"{",
    }
    with Server("--memory", "96MiB", "--log", "json") as server:
        server.connect().close()
        for data in (b"\r\n", head("GET", "/health", **{"X-Request-Id": "whole"})):
            with server.connect() as connection:
                connection.sendall(data)
                assert data == b"\r\n" or connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        # What follows the last request that a client wants is none.
        last = head("GET", "/health", **{"X-Request-Id": "whole", "Connection": "close"})
        assert answers(server, last + begun["body"]).count(b"HTTP/1.1 200 ") == 1
        for number, (name, data) in enumerate(begun.items(), 1):
            with server.connect() as connection:
                connection.sendall(data)
                assert name != "next" or connection.recv(4096).startswith(b"HTTP/1.1 200 ")
                # It has read what was sent.
                server.wait_for("leafcutter_connections", 2)
                server.get("/health")
            server.wait_for("leafcutter_clients_gone_total", number)
        assert b'{route="(none)",status="gone"} 4.0' in server.get("/metrics")
        waiting = server.connect()
        waiting.sendall(begun["body"])
        server.wait_for("leafcutter_connections", 2)
        server.get("/health")
        assert server.stop() == 0
        waiting.close()
    lines = [line for line in server.logged() if not line["id"].startswith("req_")]
    names = [(line["id"], line["gone"], line["cut"]) for line in lines if line["id"] != "whole"]
    assert names == [(name, True, False) for name in begun] + [("body", False, True)]
    for line in lines:
        is_whole = line["id"] == "whole"
        assert line["peer"] == "127.0.0.1" and line["status"] == (200 if is_whole else 0)
        assert (line["method"], line["path"]) == (("GET", "/health") if is_whole else (None, None))
    assert len(lines) == 3 + len(begun) + 1


@pytest.mark.parametrize("expect", [{}, {"Expect": "100-continue"}])
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/files", "/nothing"])
def test_a_body_that_is_announced_as_too_long_is_not_waited_for(small, expect, path):
    begin = time.monotonic()
    answer = answers(small, head("POST", path, Content_Length="65537", **expect))
    assert b" 100 " not in answer
    assert refusal(answer) == (413, "the body has more than the 65536 bytes that a request may have")
    # A body has half a minute to come.
    assert time.monotonic() - begin < 15
    # A whole one behind another answer is refused as well.
    answer = answers(
        small, head("GET", "/health") + head("POST", path, Content_Length="65537", **expect) + b"a" * 65537)
    assert refusal(answer.split(b'{"status":"ok"}\n', 1)[1])[0] == 413


def test_a_body_that_is_expected_is_invited(small):
    body = json.dumps({"prompt": POEM, "max_tokens": 1}).encode()
    with small.connect() as connection:
        connection.sendall(head(Expect="100-continue", Content_Length=str(len(body)), Connection="close"))
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_is_too_long_is_told_its_limit(small):
    status, _, answer = small.post("/v1/completions", b'{"prompt":"' + b"a" * 100_000 + b'"}')
    assert status == 413
    assert "65536" in str(answer)


def test_chunks_without_end_end(small):
    with small.connect() as connection:
        connection.sendall(head(Transfer_Encoding="chunked"))
        try:
            for _ in range(1000):
                connection.sendall(b"1000\r\n" + b"a" * 4096 + b"\r\n")
            answer = connection.recv(4096)
        except ConnectionError:
            answer = b""
    assert answer == b"" or refusal(answer)[0] == 413


def test_slow_heads_are_ended_while_others_are_served(small):
    slow = [small.connect() for _ in range(20)]
    begin = time.monotonic()
    try:
        for connection in slow:
            connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n")
        assert small.post("/v1/completions", {"prompt": POEM, "max_tokens": 2})[0] == 200
        for connection in slow:
            connection.settimeout(30)
            answer = connection.recv(4096)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
        assert 5 < time.monotonic() - begin < 25
    finally:
        for connection in slow:
            connection.close()


def test_idle_connections_make_way(small):
    idle = [small.connect() for _ in range(300)]
    try:
        for _ in range(3):
            assert small.post("/v1/completions", {"prompt": POEM, "max_tokens": 1})[0] == 200
        assert small.metric("leafcutter_connections") <= 32
    finally:
        for connection in idle:
            connection.close()


def test_heads_that_never_end_keep_nobody_out(small):
    """More of them than there may be connections, each begun anew when it is ended."""
    over = threading.Event()

    def drip():
        while not over.is_set():
            try:
                with small.connect() as connection:
                    connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n")
                    connection.settimeout(0.5)
                    while connection.recv(100):
                        pass
            except (ConnectionError, socket.timeout):
                pass
            over.wait(0.2)

    threads = [threading.Thread(target=drip) for _ in range(64)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            # From an address of its own: whoever has most connections loses one.
            connection = socket.create_connection(("127.0.0.1", small.port), 60, ("127.0.0.2", 0))
            with connection:
                body = json.dumps({"prompt": POEM, "max_tokens": 1}).encode()
                connection.sendall(head(Content_Length=str(len(body)), Connection="close") + body)
                begin = time.monotonic()
                assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
                # A head may take ten seconds to be ended for its own sake.
                assert time.monotonic() - begin < 8
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_answers_that_nobody_reads_take_no_memory_and_keep_nobody_out():
    """Hundreds of kilobytes for each of many clients, more than a small plan has for all of them."""
    with Server("--memory", "64MiB", "--max-connections", "32") as server:
        one = head("GET", "/openapi.json") * 16
        deaf = []
        try:
            for _ in range(40):
                connection = socket.socket()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.settimeout(60)
                connection.connect(("127.0.0.1", server.port))
                connection.sendall(one)
                deaf.append(connection)
            for _ in range(20):
                assert server.post("/v1/completions", {"prompt": POEM, "max_tokens": 1})[0] == 200
                time.sleep(0.1)
            assert server.metric("leafcutter_memory_peak_bytes") <= server.metric("leafcutter_memory_budget_bytes")
            # What waits for a client waits in the plan, and not in the kernel.
            lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()]
            queued = [int(line[4].split(":")[0], 16) for line in lines if line[1].endswith(f":{server.port:04X}")]
            assert max(queued) < 256 << 10
        finally:
            for connection in deaf:
                connection.close()
        assert server.stop() == 0


def test_few_descriptors_are_few_connections_and_not_the_end():
    with Server("--memory", "96MiB", "--max-connections", "200", before=["prlimit", "--nofile=64"]) as server:
        assert int(server.errors[-1].split(" connections")[0].split()[-1]) <= 16
        idle = [server.connect() for _ in range(100)]
        try:
            for _ in range(5):
                assert server.post("/v1/completions", {"prompt": POEM, "max_tokens": 1})[0] == 200
        finally:
            for connection in idle:
                connection.close()
        assert server.stop() == 0


@pytest.fixture(scope="module")
def encrypted(folder):
    """A server with TLS, and what makes a connection to it encrypted."""
    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=localhost"], check=True, capture_output=True)
    context = ssl.create_default_context(cafile=certificate)
    options = ("--max-connections", "16", "--tls-cert", certificate, "--tls-key", key)
    with Server("--memory", "128MiB", *options) as server:
        yield server, lambda connection: context.wrap_socket(connection, server_hostname="localhost")
        assert server.stop() == 0


def is_served(server, wrap):
    answer = answers(server, head("GET", "/metrics", Connection="close"), wrap=wrap)
    assert answer.startswith(b"HTTP/1.1 200 ")
    return answer


def wait_for_connections(server, wrap, count, seconds=30):
    """Waits until the server has so many, that which asks included."""
    end = time.monotonic() + seconds
    while b"\nleafcutter_connections %d.0\n" % count not in (answer := is_served(server, wrap)):
        assert time.monotonic() < end, answer.decode()
        time.sleep(0.1)


def test_a_handshake_without_end_is_ended(encrypted):
    server, wrap = encrypted
    # The beginning of a first message of 128 KiB, in records of 4 KiB.
    message = b"\x01" + (131_000).to_bytes(3, "big") + b"\x03\x03" + bytes(40_000)
    with server.connect() as connection:
        connection.settimeout(10)
        try:
            for begin in range(0, len(message), 4096):
                part = message[begin:begin + 4096]
                connection.sendall(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part)
            # An alert, and the end.
            answer = connection.recv(4096)
            assert answer == b"" or answer[0] == 0x15
        except ConnectionError:
            pass
    is_served(server, wrap)


class Trickle:
    """What an encrypted connection sends comes out a byte at a time, in three tenths of a second each."""

    def __init__(self, server, wrap, request):
        self.raw = server.connect()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        session = context.wrap_bio(incoming, outgoing)
        while True:
            try:
                session.do_handshake()
                self.raw.sendall(outgoing.read())
                break
            except ssl.SSLWantReadError:
                self.raw.sendall(outgoing.read())
                incoming.write(self.raw.recv(65536))
        session.write(request)
        self.rest = outgoing.read()
        self.session, self.incoming = session, incoming

    def ended_after(self, seconds):
        """How long it took until the server ended it."""
        begin = time.monotonic()
        self.raw.settimeout(0.3)
        found = b""
        while time.monotonic() - begin < seconds:
            try:
                if self.rest:
                    self.raw.sendall(self.rest[:1])
                    self.rest = self.rest[1:]
                piece = self.raw.recv(65536)
                if not piece:
                    return time.monotonic() - begin, found
                self.incoming.write(piece)
                try:
                    found += self.session.read(65536)
                except ssl.SSLWantReadError:
                    pass
            except socket.timeout:
                pass
            except ConnectionError:
                return time.monotonic() - begin, found
        raise AssertionError("it was not ended")


def test_deadlines_do_not_wait_for_what_can_be_decrypted(encrypted):
    """A handshake that is never finished, and a record that comes byte by byte, end as soon as a plain head."""
    server, wrap = encrypted
    silent, begun = server.connect(), server.connect()
    begun.sendall(b"\x16\x03\x01\x02\x00\x01")
    trickle = Trickle(server, wrap, head("GET", "/health") + b"x" * 400)
    # All of them count.
    wait_for_connections(server, wrap, 4)
    begin = time.monotonic()
    seconds, found = trickle.ended_after(30)
    # It would take two minutes to come as a whole.
    assert 8 < seconds < 25
    assert found == b"" or refusal(found)[0] == 408
    for connection in (silent, begun):
        connection.settimeout(20)
        try:
            assert connection.recv(4096) == b""
        except ConnectionError:
            pass
        connection.close()
    assert time.monotonic() - begin < 40
    wait_for_connections(server, wrap, 1)


def test_handshakes_that_never_end_keep_nobody_out(encrypted):
    server, wrap = encrypted
    begun = [server.connect() for _ in range(40)]
    try:
        for _ in range(3):
            is_served(server, wrap)
    finally:
        for connection in begun:
            connection.close()


def test_what_is_encrypted_and_cannot_be_read_has_our_own_error(encrypted):
    server, wrap = encrypted
    for status, data in UNREADABLE:
        assert refusal(answers(server, data, wrap=wrap))[0] == status
    is_served(server, wrap)


def test_pipelined_requests_are_answered_in_order(small):
    body = json.dumps({"prompt": POEM, "max_tokens": 2, "temperature": 0}).encode()
    one = head(Content_Length=str(len(body))) + body
    with small.connect() as connection:
        connection.sendall(one * 3 + head("GET", "/health", Connection="close"))
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1 200 ") == 4
    assert answer.rstrip().endswith(b'{"status":"ok"}')


def test_who_ends_its_side_is_answered_all_the_same(small):
    body = b'{"prompt":"a"}'
    several = head("GET", "/health") * 3 + head("POST", "/tokenize", Content_Length=str(len(body))) + body
    assert answers(small, several, ends=True).count(b"HTTP/1.1 200 ") == 4
    assert answers(small, head("GET", "/main.js"), ends=True).count(b"HTTP/1.1 200 ") == 1
    # More than the system takes at once.
    many = answers(small, head("GET", "/openapi.json") * 100, ends=True)
    assert many.count(b"HTTP/1.1 200 ") == 100 and many.endswith(b"}\n")
    found = answers(small, head("GET", "/health") + b"nonsense\r\n\r\n", ends=True)
    first, second = found.split(b'{"status":"ok"}\n', 1)
    assert first.startswith(b"HTTP/1.1 200 ") and refusal(second)[0] == 400
    # Half a request is none.
    assert answers(small, head("GET", "/health") + b"GET /hea", ends=True).count(b"HTTP/1.1 ") == 1
    small.wait_for("leafcutter_connections", 1)


def test_a_pipeline_that_nobody_reads_ends(small):
    one = head("GET", "/metrics")
    with small.connect() as connection:
        connection.settimeout(10)
        try:
            for _ in range(2000):
                connection.sendall(one * 20)
        except (ConnectionError, socket.timeout):
            pass
    assert small.get("/health")


def test_other_methods_names_and_types_are_refused(small):
    assert send(small, head("GET")) == 405
    assert send(small, head("DELETE", "/v1/models")) == 405
    assert send(small, head("GET", "/nothing")) == 404
    assert send(small, head("PATCH", "/health")) == 405
    assert send(small, head("HEAD")) == 405
    assert send(small, head("GET", "/../../etc/passwd")) == 404
    assert send(small, head("GET", "/v1/models", Host="evil.example")) == 403
    # HTTP/1.0 needs no name, and then it is none of the server's.
    assert send(small, b"GET /v1/models HTTP/1.0\r\n\r\n") == 403
    body = b'{"prompt":"a"}'
    assert send(small, head(Content_Type="text/plain", Content_Length=str(len(body))) + body) == 415
    assert small.get("/metrics").count(b"/etc/passwd") == 0


def test_packed_bodies_are_refused(small):
    body = b'{"prompt":"a","max_tokens":1}'
    for coding, status in (("gzip", 415), ("identity, br", 415), ("identity", 200), ("", 200)):
        assert send(small, head(Content_Encoding=coding, Content_Length=str(len(body))) + body) == status, coding


def test_empty_lines_in_front_of_a_request_are_ignored(small):
    one = head("GET", "/health")
    last = head("GET", "/health", Connection="close")
    for lines in (b"\r\n", b"\n", b"\r\n" * 4):
        assert answers(small, lines + one + lines + last).count(b"HTTP/1.1 200 ") == 2, lines
    assert send(small, b"\r\n" * 5 + one) == 400
    assert send(small, b"\r" + one) == 400
    with small.connect() as connection:
        connection.settimeout(20)
        for byte in b"\r\n" + one:
            connection.sendall(bytes([byte]))
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        # As some clients end a body.
        connection.sendall(b"\r\n")
        time.sleep(0.2)
        connection.sendall(one)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_keys_are_asked_for(folder):
    keys = folder / "keys.txt"
    keys.write_text("# mine\nsecret-1\nsecret-2\n")
    with Server("--memory", "96MiB", "--api-key-file", str(keys)) as server:
        assert server.post("/v1/completions", {"prompt": "春"})[0] == 401
        assert server.post("/v1/completions", {"prompt": "春"}, Authorization="Bearer secret-3")[0] == 401
        assert server.post(
            "/v1/completions", {"prompt": "春", "max_tokens": 1}, Authorization="Bearer secret-2")[0] == 200
        assert server.get("/health") and server.get("/")
        assert server.stop() == 0
        assert "secret" not in "".join(server.errors)


def test_the_queue_has_an_end_and_says_when_to_come_back(small):
    body = json.dumps({"prompt": POEM, "max_tokens": 200, "allow_empty": False, "logit_bias": {"7": -100}}).encode()
    one = head(Content_Length=str(len(body))) + body
    # As many as have a place on a sweep, as many as may wait, and more.
    connections = [small.connect() for _ in range(14)]
    try:
        for connection in connections:
            connection.sendall(one)
        statuses = []
        for connection in connections:
            answer = connection.recv(4096)
            statuses.append(int(answer.split()[1]))
            if statuses[-1] == 429:
                assert int(answer.lower().split(b"retry-after: ")[1].split(b"\r\n")[0]) >= 1
        assert 429 in statuses and 200 in statuses
    finally:
        for connection in connections:
            connection.close()
    small.wait_for("leafcutter_active_requests", 0)
    small.wait_for("leafcutter_queue_requests", 0)


@pytest.mark.parametrize("option", [
    "--model-name", "--allow-host", "--api-key-file", "--files", "--listen", "--cors", "--tls-cert", "--log"])
def test_an_empty_value_is_a_missing_one(option):
    with pytest.raises(RuntimeError, match=f"ended with 2: .*{option} needs a value"):
        Server("--memory", "96MiB", option, "")


@pytest.mark.parametrize("name", ["https://ant.example", "ant.example:80", "*", " "])
def test_a_host_that_no_client_can_call_is_refused(name):
    with pytest.raises(RuntimeError, match="ended with 2: .*is not a name as clients call a server"):
        Server("--memory", "96MiB", "--allow-host", name)


def test_a_key_file_without_keys_is_refused(folder):
    (folder / "none.txt").write_text("# nobody\n\n")
    with pytest.raises(RuntimeError, match="ended with 1: .*holds no key"):
        Server("--memory", "96MiB", "--api-key-file", str(folder / "none.txt"))


def test_a_context_without_room_for_a_text_is_refused():
    with pytest.raises(RuntimeError, match="ended with 2: .*--max-context 32 .*soft prompt"):
        Server("--memory", "96MiB", "--max-context", "32")
    with Server("--memory", "96MiB", "--max-context", "33") as server:
        assert server.post("/v1/completions", {"prompt": "", "max_tokens": 1, "temperature": 0})[0] == 200
        assert json.loads(server.get("/tokenizer_info"))["model_max_length"] == 1
        assert server.stop() == 0
