"""Models whose tokens take seconds: nobody gives up, and nobody who left is worked for."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import openai
import pytest

from conftest import POEM, Server, wait_until_taken


LITTLE = ("--memory", "47MiB", "--max-batch", "1", "--max-context", "96")


@pytest.fixture(scope="module")
def streamed():
    """Bytes that a sweep reads with little memory."""
    with Server(*LITTLE) as server:
        return json.loads(server.get("/plan"))["streamed_bytes_per_sweep"]


def throttled(streamed, seconds, *options):
    """A server whose sweeps take so long."""
    return Server(*LITTLE, "--max-read-rate", f"{int(streamed / seconds)}B", *options)


@pytest.fixture(scope="module")
def slow(streamed):
    """About ten seconds a token."""
    with throttled(streamed, 9) as running:
        yield running


def stream(server, **fields):
    body = json.dumps({"prompt": POEM, "max_tokens": 3, "stream": True, **fields}).encode()
    connection = server.connect()
    connection.sendall(
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def test_a_stream_is_kept_alive_between_tokens(slow):
    last, silence, text = time.monotonic(), 0.0, b""
    with stream(slow, max_tokens=2, temperature=0) as connection:
        while b"[DONE]" not in text:
            piece = connection.recv(4096)
            assert piece
            silence = max(silence, time.monotonic() - last)
            last = time.monotonic()
            text += piece
    # Without a word between them, tokens would come every nine seconds.
    assert silence < 8
    assert text.count(b": keep-alive") >= 2
    assert text.count(b"data: {") >= 2


def test_openais_client_waits_for_a_whole_answer(slow):
    client = openai.OpenAI(base_url=slow.url + "/v1", api_key="none", max_retries=0, timeout=8)
    begin = time.monotonic()
    answer = client.completions.create(model="any", prompt=POEM, max_tokens=2, temperature=0)
    assert answer.choices[0].text
    assert time.monotonic() - begin > 8


def wait_for_listener(port, seconds=30):
    end = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionError:
            assert time.monotonic() < end, f"nobody listens at {port}"
            time.sleep(0.05)


@pytest.mark.skipif(not shutil.which("nginx") and not os.path.exists("/usr/sbin/nginx"), reason="there is no nginx")
def test_a_proxy_that_closes_what_is_silent_does_not(slow, folder):
    port = 18_000 + os.getpid() % 1000
    configuration = folder / "nginx.conf"
    configuration.write_text(f"""
        daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; user root;
        events {{}}
        http {{
            access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
            fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            server {{ listen 127.0.0.1:{port}; location / {{
                proxy_pass {slow.url}; proxy_http_version 1.1; proxy_read_timeout 7s; proxy_set_header Host localhost;
            }} }}
        }}""")
    proxy = subprocess.Popen(["/usr/sbin/nginx", "-c", str(configuration)])
    try:
        wait_for_listener(port)
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0, timeout=60)
        whole = client.completions.create(model="any", prompt=POEM, max_tokens=2, temperature=0).choices[0].text
        pieces = client.completions.create(model="any", prompt=POEM, max_tokens=2, temperature=0, stream=True)
        assert "".join(c.choices[0].text for c in pieces) == whole
    finally:
        proxy.terminate()
        proxy.wait()


def test_a_client_that_leaves_frees_its_place(slow):
    with stream(slow, max_tokens=50) as connection:
        assert connection.recv(4096)
        slow.wait_for("leafcutter_active_requests", 1)
        # One more waits behind it.
        waiting = stream(slow, max_tokens=50)
        slow.wait_for("leafcutter_queue_requests", 1)
    waiting.close()
    slow.wait_for("leafcutter_active_requests", 0, seconds=20)
    slow.wait_for("leafcutter_queue_requests", 0)


def test_texts_that_wait_leave_a_connection_to_whoever_asks_for_health(streamed):
    with throttled(streamed, 9, "--max-connections", "4") as server:
        waiting = [stream(server, max_tokens=50) for _ in range(4)]
        answers = [connection.recv(4096) for connection in waiting]
        assert [int(answer.split()[1]) for answer in answers] == [200, 200, 200, 429]
        assert b"\r\nRetry-After: " in answers[-1]
        for _ in range(3):
            assert json.loads(server.get("/health")) == {"status": "ok"}
        for connection in waiting:
            connection.close()


def test_who_ends_its_side_while_the_model_works_has_left(slow):
    with stream(slow, max_tokens=50) as connection:
        assert connection.recv(4096)
        slow.wait_for("leafcutter_active_requests", 1)
        connection.shutdown(socket.SHUT_WR)
        assert b"[DONE]" not in b"".join(iter(lambda: connection.recv(4096), b""))
    slow.wait_for("leafcutter_active_requests", 0, seconds=20)


def test_a_stop_finishes_what_is_under_way(streamed):
    with throttled(streamed, 2) as server:
        idle = server.connect()
        with stream(server, max_tokens=5, temperature=0) as connection:
            assert connection.recv(4096)
            server.wait_for("leafcutter_active_requests", 1)
            server.process.send_signal(signal.SIGTERM)
            assert idle.recv(1) == b""
            text = b""
            while piece := connection.recv(4096):
                text += piece
                if b"[DONE]" in text:
                    break
            assert b"[DONE]" in text
        assert server.process.wait(timeout=30) == 0


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_tells_whether_client_or_server_ended_an_answer(streamed, form):
    with throttled(streamed, 2, "--drain-time", "1", "--log", form) as server:
        with stream(server, max_tokens=50) as connection:
            assert connection.recv(4096)
        server.wait_for("leafcutter_active_requests", 0)
        assert server.metric("leafcutter_clients_gone_total") == 1
        assert server.metric("leafcutter_answers_cut_total") == 0
        # Once, and not as an answer that was given.
        counted = [line for line in server.get("/metrics").decode().splitlines() if '"/v1/completions"' in line]
        assert counted == ['leafcutter_requests_total{route="/v1/completions",status="gone"} 1.0']
        with stream(server, max_tokens=50) as connection:
            assert connection.recv(4096)
            server.process.send_signal(signal.SIGTERM)
            text = b"".join(iter(lambda: connection.recv(4096), b""))
        assert text.count(b"event: error") == 1 and b"[DONE]" not in text
        assert server.end() == 0
    lines = [line for line in "".join(server.errors).splitlines() if "POST" in line]
    if form == "text":
        assert [line.split()[4] for line in lines] == ["gone", "cut"]
    else:
        assert [(line["gone"], line["cut"]) for line in map(json.loads, lines)] == [(True, False), (False, True)]


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("between", [0.5, 0.05])
def test_a_second_signal_ends_it_at_once(streamed, first, second, between):
    with throttled(streamed, 9) as server:
        with stream(server, max_tokens=50) as connection:
            assert connection.recv(4096)
            server.process.send_signal(first)
            time.sleep(between)
            wait_until_taken(server.process, first)
            assert server.process.poll() is None
            server.process.send_signal(second)
            # As a shell tells of it. What is under way would take minutes.
            assert server.process.wait(timeout=30) == 128 + second


def test_a_second_signal_leaves_no_answer_out_of_the_log(streamed):
    with throttled(streamed, 9, "--log", "json") as server:
        waiting = [stream(server, max_tokens=50) for _ in range(3)]
        for connection in waiting:
            assert connection.recv(4096)
        server.process.send_signal(signal.SIGTERM)
        wait_until_taken(server.process, signal.SIGTERM)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 128 + signal.SIGTERM
        assert time.monotonic() - begin < 3
    lines = server.logged()
    assert [(line["route"], line["cut"]) for line in lines] == [("/v1/completions", True)] * 3
    for connection in waiting:
        connection.close()


def test_signals_are_taken_by_a_thread_that_does_nothing_else(slow):
    """One that computes takes them late, and what comes twice meanwhile comes once."""
    takers = []
    for thread in pathlib.Path(f"/proc/{slow.process.pid}/task").iterdir():
        facts = dict(line.split(":\t", 1) for line in (thread / "status").read_text().splitlines() if ":\t" in line)
        if not int(facts["SigBlk"], 16) >> signal.SIGTERM - 1 & 1:
            takers.append(int(thread.name))
    assert len(takers) == 1 and takers != [slow.process.pid]


def test_clients_that_do_not_read_hold_up_no_stop():
    with Server("--memory", "64MiB", "--drain-time", "2") as server:
        deaf = []
        for _ in range(4):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 16)
            # The server has begun to answer.
            assert connection.recv(1)
            deaf.append(connection)
        server.wait_for("leafcutter_connections", 5)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=30) == 0
        # The time that answers have, and less than that of a client that confirms nothing.
        assert 1.5 < time.monotonic() - begin < 20
        for connection in deaf:
            connection.close()
