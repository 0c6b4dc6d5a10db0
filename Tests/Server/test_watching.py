"""What is told of the server while it works."""
import datetime
import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import BIN, MODEL, POEM, Server


def test_metrics_are_prometheus_text(server):
    server.post("/v1/completions", {"prompt": POEM, "max_tokens": 4})
    text = server.get("/metrics")
    assert b'leafcutter_requests_total{route="/v1/completions",status="200"}' in text
    assert server.metric("leafcutter_memory_peak_bytes") <= server.metric("leafcutter_memory_budget_bytes")
    if not shutil.which("promtool"):
        pytest.skip("there is no promtool")
    subprocess.run(["promtool", "check", "metrics"], input=text, check=True)


def test_connections_are_counted_as_they_come_and_go(server):
    server.wait_for("leafcutter_connections", 1)
    for _ in range(5):
        several = [server.connect() for _ in range(3)]
        assert server.metric("leafcutter_connections") == 4
        for connection in several:
            connection.close()
        assert server.metric("leafcutter_connections") == 1


def test_each_token_is_counted_once(server):
    # Of those who left, nothing is under way any more.
    server.wait_for("leafcutter_active_requests", 0)
    before = server.metric("leafcutter_tokens_total")
    body = {"messages": [{"role": "user", "content": POEM}], "max_tokens": 9, "temperature": 0}
    whole = server.post("/v1/chat/completions", body)[2]["usage"]["completion_tokens"]
    assert whole > 0 and server.metric("leafcutter_tokens_total") == before + whole
    stream = urllib.request.Request(
        server.url + "/v1/chat/completions", json.dumps({**body, "stream": True}).encode(),
        {"Content-Type": "application/json"})
    assert urllib.request.urlopen(stream, timeout=120).read().count(b"data: {") > whole
    assert server.metric("leafcutter_tokens_total") == before + 2 * whole


def test_events_tell_of_the_model_and_its_sweeps(server):
    with server.connect() as connection:
        connection.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        text = b""
        while text.count(b"event: sweep") < 2:
            piece = connection.recv(65536)
            assert piece
            text += piece
    model = json.loads(text.split(b"event: model\ndata: ")[1].split(b"\n")[0])
    sweep = json.loads(text.split(b"event: sweep\ndata: ")[1].split(b"\n")[0])
    assert model["layers"] > 0 and len(model["pinned"]) == model["blocks"] == len(sweep["pinned"])
    assert sweep["memory"]["peak"] <= sweep["memory"]["budget"]


def test_who_watches_keeps_nobody_out():
    with Server("--memory", "96MiB", "--max-connections", "4") as server:
        def watch():
            connection = server.connect()
            connection.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return connection, connection.recv(4096)

        watching = [watch() for _ in range(6)]
        assert [int(answer.split()[1]) for _, answer in watching] == [200, 200, 503, 503, 503, 503]
        for _, answer in watching[2:]:
            assert b"\r\nRetry-After: 30\r\n" in answer and b"as many watch the sweeps as may, 2;" in answer
        for _ in range(3):
            assert json.loads(server.get("/health")) == {"status": "ok"}
        # Who leaves makes room.
        for connection, _ in watching[1:]:
            connection.close()
        server.wait_for("leafcutter_connections", 2)
        connection, answer = watch()
        assert answer.startswith(b"HTTP/1.1 200 ")
        for open_one in (connection, watching[0][0]):
            open_one.close()
        assert server.stop() == 0


def test_what_is_not_known_is_named_not_obeyed(server):
    status, headers, _ = server.post(
        "/v1/completions", {"prompt": POEM, "max_tokens": 1, "shiny": 1, "user": "me"}, Priority="u=7")
    assert status == 200
    assert headers["X-Leafcutter-Ignored"] == "shiny"
    body = {"prompt": POEM, "max_tokens": 1, "诗": 1, **{f"a{number}": 1 for number in range(40)}}
    named = server.post("/v1/completions", body)[1]["X-Leafcutter-Ignored"].split(", ")
    assert named[:2] == ["%E8%AF%97", "a0"] and named[-2:] == ["a30", "+9"]


def test_what_the_vocabulary_lacks_is_said_before_the_answer(server):
    for body in ({"stream": True}, {}, {"echo": True}):
        request = urllib.request.Request(
            server.url + "/v1/completions", json.dumps({"prompt": "春🦀🐺🦀", "max_tokens": 1, **body}).encode(),
            {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert answer.headers["X-Leafcutter-Unknown"] == "3"
    assert "X-Leafcutter-Unknown" not in server.post("/v1/completions", {"prompt": POEM, "max_tokens": 1})[1]
    _, headers, filled = server.post("/v1/fill", {"text": "春🦀<blank:1>"})
    assert headers["X-Leafcutter-Unknown"] == "1" and filled["unknown"] == ["🦀"]
    _, headers, ids = server.post("/tokenize", {"prompt": "春🦀"})
    assert headers["X-Leafcutter-Unknown"] == "1" and ids["unknown"] == ["🦀"] and ids["tokens"][-1] == 1
    _, headers, ids = server.post("/tokenize", {"prompt": "春"})
    assert "X-Leafcutter-Unknown" not in headers and "unknown" not in ids
    paths = json.loads(server.get("/openapi.json"))["paths"]
    documented = {path: paths[path]["post"]["responses"]["200"]["headers"] for path in ("/tokenize", "/detokenize")}
    assert ["X-Leafcutter-Unknown" in headers for headers in documented.values()] == [True, False]


def test_a_word_that_is_too_long_is_unknown_as_a_whole(server):
    """The vocabulary has its letters, and no token of it begins such a word."""
    _, headers, ids = server.post("/tokenize", {"prompt": "春🦀" + "ab" * 101})
    assert headers["X-Leafcutter-Unknown"] == "203"
    assert ids["unknown"] == ["🦀", "ab" * 8 + "…"] and ids["tokens"][1:] == [1, 1]


def test_pages_of_other_sites_may_read_what_our_headers_say():
    with Server("--memory", "96MiB", "--cors", "https://leaf.example") as server:
        body = {"prompt": "春🦀", "max_tokens": 1}
        _, headers, _ = server.post("/v1/completions", body, Origin="https://leaf.example")
        exposed = headers["Access-Control-Expose-Headers"].split(", ")
        assert {"X-Leafcutter-Unknown", "X-Leafcutter-Ignored", "Retry-After"} <= set(exposed)
        assert headers["X-Leafcutter-Unknown"] == "1"
        assert "Access-Control-Expose-Headers" not in server.post("/v1/completions", body)[1]
        # Clients for browsers send headers of their own.
        wanted = "authorization, x-stainless-os"
        for asked, given in ((wanted, wanted), ("a\tb", "Authorization, Content-Type, Priority")):
            request = urllib.request.Request(server.url + "/v1/completions", method="OPTIONS", headers={
                "Origin": "https://leaf.example", "Access-Control-Request-Headers": asked})
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert answer.headers["Access-Control-Allow-Headers"] == given
        assert server.stop() == 0


def called(server, name=None, path="/health", data=None):
    """What an answer calls its request, which came with a name or with none."""
    request = urllib.request.Request(server.url + path, data, {} if name is None else {"X-Request-Id": name})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.headers["X-Request-Id"]
    except urllib.error.HTTPError as error:
        return error.headers["X-Request-Id"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_of_the_log_has_its_time_and_the_id_that_the_answer_has(form):
    with Server("--memory", "96MiB", "--request-limit", "1KiB", "--log", form) as server:
        began = datetime.datetime.now(datetime.timezone.utc)
        names = [called(server), called(server)]
        kept = ["a", "1-67891233-abcdef012345678912345678", "~" * 128]
        names += [called(server, name) for name in kept]
        # On an error, and where the request never became whole.
        names += [called(server, "lost", "/nothing"), called(server, "long", "/v1/score", bytes(2000))]
        assert names[2:] == [*kept, "lost", "long"]
        names += [called(server, name) for name in ("", "a b", "\xe9", "~" * 129)]
        # Their own would not do.
        own = names[:2] + names[7:]
        assert all(name.startswith("req_") for name in own) and len(set(own)) == 6
        assert server.stop() == 0
        ended = datetime.datetime.now(datetime.timezone.utc)
    if form == "json":
        lines = server.logged()
        found, times = [line["id"] for line in lines], [line["time"] for line in lines]
    else:
        lines = [line for line in "".join(server.errors).splitlines() if line.startswith("2")]
        found, times = [line.split()[-1] for line in lines], [line.split()[0] for line in lines]
    assert found == names
    moments = [datetime.datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%f%z") for time in times]
    assert all(len(time) == len("2026-11-29T20:25:13.120Z") for time in times)
    # A line's time has no more than milliseconds.
    assert began - datetime.timedelta(milliseconds=1) <= moments[0] and moments[-1] <= ended
    assert moments == sorted(moments)


def test_every_line_of_a_log_in_json_is_an_object_with_its_time():
    """From the start to the end, whatever it tells of."""
    with Server("--memory", "96MiB", "--max-batch", "2", "--max-context", "96", "--log", "json") as server:
        assert server.post("/v1/completions", {"prompt": POEM, "max_tokens": 4})[0] == 200
        server.connect().close()
        assert server.stop() == 0
    lines = [json.loads(line) for line in "".join(server.errors).splitlines()]
    times = [line.pop("time") for line in lines]
    assert times == sorted(times)
    assert lines[0]["listening"].pop("connections") >= 4
    assert lines[0] == {"listening": {"address": server.url, "texts": 2, "context": 96}}
    assert lines[1]["route"] == "/v1/completions" and lines[-1] == {"stopped": True}
    # Nobody asked for guesses of much use here, and there may be none.
    assert all("speculation" in line for line in lines[2:-1])


@pytest.mark.parametrize("options, code, what", [
    (("--memory", "8MiB"), 3, "use --memory "), (("--max-context", "8"), 2, "leaves no room for a text"),
    (("--memory", "96MiB", "--speculate", "off", "--share-ngrams"), 2, "use --speculate ngram or auto"),
])
def test_why_it_does_not_start_is_in_the_form_of_the_log(options, code, what):
    for form, begin in (("json", "{"), ("text", "leafcutter serve: ")):
        ended = subprocess.run(
            [BIN, "serve", MODEL, *options, "--log", form, "--listen", "127.0.0.1:0"], text=True, capture_output=True,
            timeout=60, check=False)
        assert ended.returncode == code and ended.stderr.startswith(begin) and what in ended.stderr
        assert ended.stderr.count("\n") == 1
        if form == "json":
            assert json.loads(ended.stderr).keys() == {"time", "error"}


def test_who_watches_and_leaves_is_gone():
    with Server("--memory", "96MiB", "--log", "json") as server:
        def watch():
            connection = server.connect()
            connection.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
            return connection

        watch().close()
        server.wait_for("leafcutter_clients_gone_total", 1)
        assert b'{route="/events",status="gone"} 1.0' in server.get("/metrics")
        # Who stays is told that all is over.
        staying = watch()
        assert server.stop() == 0
        assert b"".join(iter(lambda: staying.recv(4096), b"")).endswith(b"0\r\n\r\n")
        staying.close()
    lines = [line for line in server.logged() if line["route"] == "/events"]
    assert [(line["status"], line["gone"], line["cut"]) for line in lines] == [(200, True, False), (200, False, False)]


def test_the_tokenizer_is_what_lm_eval_asks(server):
    _, _, ids = server.post("/tokenize", {"prompt": "床前明月光", "add_special_tokens": False})
    assert ids["count"] == len(ids["tokens"])
    _, _, text = server.post("/detokenize", {"tokens": ids["tokens"]})
    assert text["prompt"] == text["content"] == "床前明月光"
    info = json.loads(server.get("/tokenizer_info"))
    assert {"eos_token", "bos_token", "pad_token"} <= info.keys()


def test_the_document_names_every_route(server):
    document = json.loads(server.get("/openapi.json"))
    assert document["openapi"].startswith("3.")
    routes = {"/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/v1/fill", "/v1/score"}
    assert routes <= document["paths"].keys()


def test_what_answers_get_answers_head(server):
    for path in (
        "/", "/main.js", "/health", "/v1/models", "/v1/models/" + server.model, "/tokenizer_info", "/plan",
        "/openapi.json", "/metrics", "/events", "/nothing", "/v1/completions",
    ):
        statuses, lengths = zip(*(ask(server, method, path) for method in ("HEAD", "GET")))
        assert statuses[0] == statuses[1], path
        # What is counted changes from one request to the next.
        assert path in ("/metrics", "/events") or lengths[0] == lengths[1], path


def ask(server, method, path):
    """The status, and what the head says of the length. Nothing follows the head of an answer to HEAD."""
    with server.connect() as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        if method == "HEAD":
            connection.sendall(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        reader = connection.makefile("rb")
        status = reader.readline().split()[1]
        headers = dict(line.lower().split(b": ", 1) for line in iter(reader.readline, b"\r\n"))
        if method == "HEAD":
            assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
            assert reader.read().endswith(b"\r\n\r\n")
        return status, headers.get(b"content-length")


def test_a_model_has_any_name(server):
    for name in ("诗 one", "a/b", "50%"):
        with Server("--memory", "96MiB", "--model-name", name) as named:
            assert json.loads(named.get("/v1/models"))["data"][0]["id"] == name
            path = "/v1/models/" + urllib.parse.quote(name, safe="")
            assert json.loads(named.get(path))["id"] == name
            assert named.stop() == 0


def test_the_plan_holds_what_is_promised(server):
    plan = json.loads(server.get("/plan"))
    assert sum(plan["parts"].values()) <= plan["budget"]


def test_the_page_needs_nothing_from_outside(server):
    page = server.get("/").decode()
    assert "<html" in page and "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
