"""A small stand-in for `leafcutter serve`: the page's files and its side of HTTP, with a model of a few poems.

The model draws the next token by what follows the last one in the poems, once each sweep, and a sweep takes as long as
it is told. By hand: python3 fake_server.py [PORT] [SECONDS A SWEEP]
"""
import contextlib
import json
import math
import queue
import random
import re
import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = Path(__file__).parents[2] / "Sources/CPage"
BEGIN, END = 6, 7
POEMS = """《登鹳雀楼》王之涣
白日依山尽，黄河入海流。
欲穷千里目，更上一层楼。
《静夜思》李白
床前明月光，疑是地上霜。
举头望明月，低头思故乡。
《春晓》孟浩然
春眠不觉晓，处处闻啼鸟。
夜来风雨声，花落知多少。
《枫桥夜泊》张继
月落乌啼霜满天，江枫渔火对愁眠。
姑苏城外寒山寺，夜半钟声到客船。
《江雪》柳宗元
千山鸟飞绝，万径人踪灭。
孤舟蓑笠翁，独钓寒江雪。
《早发白帝城》李白
朝辞白帝彩云间，千里江陵一日还。
两岸猿声啼不住，轻舟已过万重山。
"""
# What JavaScript would put into another order: keys that look like numbers.
NUMBERS = "数2,数1,数10,数2,数10,数2"


def files():
    """The files of the page and its policy, as page.c lists them: path -> (content type, bytes)."""
    source = (PAGE / "page.c").read_text()
    names = dict(re.findall(r"char (\w+)\[\] = \{\n#embed \"([^\"]+)\"", source))
    types = dict(re.findall(r"#define (\w+) \"([^\"]+)\"", source))
    found = {}
    for path, kind, name in re.findall(r"\{\"([^\"]+)\", ([^,]+), (\w+),", source):
        found[path] = (types.get(kind, kind.strip('"')), (PAGE / names[name]).read_bytes())
    policy = "".join(re.findall(r"\"([^\"]*)\"", source[source.index("leaf_page_policy"):]))
    return found, policy


class Model:
    def __init__(self):
        words = self.split(POEMS + NUMBERS)
        self.tokens = ["<pad>", "<unk>", "<mask>", "<sep>", "\n", " ", "<s>", "</s>"]
        self.tokens += sorted(set(words) - set(self.tokens))
        self.ids = {token: id for id, token in enumerate(self.tokens)}
        self.all = Counter(self.encode(POEMS))
        self.following = defaultdict(Counter)
        for text in (POEMS, NUMBERS):
            ids = self.encode(text)
            for i in range(1, len(ids)):
                self.following[ids[i - 1],][ids[i]] += 1
                self.following[tuple(ids[max(0, i - 2):i])][ids[i]] += 1
        # A poem ends behind its last line.
        for line in POEMS.splitlines()[2::3]:
            last = self.ids[line[-2]]
            self.following[last, self.ids["。"]][END] += 8

    @staticmethod
    def split(text):
        return re.findall(r"\d+|.|\n", text)

    def encode(self, text):
        return [self.ids.get(word, 1) for word in self.split(text)]

    def candidates(self, ids):
        """The likely next tokens and their log-probabilities, best first."""
        weights = Counter({id: 0.004 * count for id, count in self.all.items()})
        for weight, before in ((1, tuple(ids[-1:])), (6, tuple(ids[-2:]))):
            for id, count in self.following[before].items():
                weights[id] += weight * count
        total = sum(weights.values())
        best = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:20]
        return [(id, math.log(weight / total)) for id, weight in best]


class Sample:
    def __init__(self, ids, seed, index):
        self.ids, self.new = list(ids), 0
        self.random = random.Random(f"{seed} {index}")
        self.finish = None


class Job:
    """A request's samples; what comes of them goes into a queue."""

    def __init__(self, model, prompt, body):
        self.model, self.body, self.prompt = model, body, prompt
        self.seed = body.get("seed") or random.randrange(1 << 32)
        count = body.get("beams", 1) if "beams" in body else body.get("n", 1)
        self.samples = [Sample(prompt, self.seed, index) for index in range(count)]
        self.answers = queue.Queue()
        self.is_gone = False
        self.is_first = True

    @property
    def is_done(self):
        return self.is_gone or all(sample.finish for sample in self.samples)

    def step(self):
        for index, sample in enumerate(self.samples):
            if not sample.finish:
                self.answers.put((index, self.draw(sample)))

    def draw(self, sample):
        candidates = self.model.candidates(sample.ids)
        temperature = 0 if self.body.get("greedy") or "beams" in self.body else self.body.get("temperature", 0.9)
        if temperature == 0:
            id, logprob = candidates[0]
        else:
            weights = [math.exp(logprob / temperature) for _, logprob in candidates]
            id, logprob = sample.random.choices(candidates, weights)[0]
        sample.new += 1
        if id == END:
            sample.finish = "stop"
            return {"text": "", "tokens": [], "finish": "stop"}
        sample.ids.append(id)
        if sample.new >= self.body.get("max_tokens", 16):
            sample.finish = "length"
        return {"id": id, "logprob": logprob, "top": candidates[:self.body.get("logprobs", 0)],
                "finish": sample.finish}


class Engine(threading.Thread):
    """One sweep after the other while there are jobs."""
    LAYERS, BLOCKS = 24, 49

    def __init__(self, sweep_seconds):
        super().__init__(daemon=True)
        self.model, self.seconds = Model(), sweep_seconds
        self.changed = threading.Condition()
        # Jobs that share a sweep at most; the others wait.
        self.places = 8
        self.waiting, self.running, self.prompts = [], [], 0
        self.sweep, self.block, self.is_stopped = 0, None, False
        self.pinned = "".join("1" if block % 5 == 0 or block > 44 else "0" for block in range(self.BLOCKS))

    def submit(self, job):
        with self.changed:
            self.waiting.append(job)
            self.changed.notify_all()

    def run(self):
        while not self.is_stopped:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting or self.running or self.is_stopped)
                self.prompts = sum(len(job.prompt) for job in self.waiting)
                room = max(0, self.places - len(self.running))
                self.running += self.waiting[:room]
                self.waiting = self.waiting[room:]
                self.sweep += 1
            for self.block in range(self.BLOCKS):
                time.sleep(self.seconds / self.BLOCKS)
            for job in self.running:
                job.step()
            with self.changed:
                self.running = [job for job in self.running if not job.is_done]
                self.prompts = 0
            self.block = None

    def memory(self):
        return {"budget": 2 << 30, "planned": int(1.94 * (1 << 30)), "peak": int(1.83 * (1 << 30))}

    def facts(self):
        running = bool(self.running)
        texts = sum(len(job.samples) for job in self.running)
        block = self.block if running else None
        left = self.seconds * (1 - block / self.BLOCKS) if block is not None else None
        return {
            "sweep": self.sweep, "running": running, "computing": block,
            "reading": min(block + 3, self.BLOCKS - 1) if block is not None else None, "pinned": self.pinned,
            "rows": texts + self.prompts, "texts": texts, "queued": len(self.waiting), "sweep_seconds": self.seconds,
            "seconds_left": left, "bytes_per_second": 1.07e9 if running else 0, "wait_share": 0.82,
            "memory": self.memory(), "tokens_per_sweep": 1.0,
        }


def free_port():
    """One below those that the system gives to whoever connects: nobody takes it while its server stands still."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


class FakeServer:
    """Starts at once on a port of its own. What a test may set: `key`, `refuse` (a status for the next completion),
    `break_after` (tokens before the connection ends), `fail_after` (before an error event), `is_loading`, `name`."""
    SENTENCES = {400: "a text of 700 tokens does not fit into 512; make it shorter"}

    def __init__(self, port=None, sweep_seconds=0.05, key=None):
        self.port, self.sweep_seconds, self.key = port or free_port(), sweep_seconds, key
        self.refuse = self.break_after = self.fail_after = None
        self.is_loading, self.name = False, "poems"
        self.connections = set()
        self.start()

    def start(self):
        self.engine = Engine(self.sweep_seconds)
        self.engine.start()
        handler = type("Handler", (Handler,), {"server_state": self})
        self.http = QuietServer(("127.0.0.1", self.port), handler)
        self.is_stopped = False
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.is_stopped = True
        self.http.shutdown()
        self.http.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        with self.engine.changed:
            self.engine.is_stopped = True
            self.engine.changed.notify_all()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that went away is no error."""


class Handler(BaseHTTPRequestHandler):
    server_state = None
    protocol_version = "HTTP/1.1"
    files, policy = files()

    def setup(self):
        super().setup()
        self.server_state.connections.add(self.connection)

    def finish(self):
        self.server_state.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        if self.path in self.files:
            kind, content = self.files[self.path]
            self.send(200, content, kind, {"Content-Security-Policy": self.policy, "X-Content-Type-Options": "nosniff"})
        elif self.path == "/health":
            is_loading = self.server_state.is_loading
            self.answer({"status": "loading" if is_loading else "ok"}, 503 if is_loading else 200)
        elif self.path == "/v1/models":
            self.answer({"object": "list", "data": [{"id": self.server_state.name, "object": "model"}]})
        elif self.path != "/events":
            self.error(404, "there is nothing here")
        elif self.is_allowed():
            self.events()

    def do_POST(self):
        state = self.server_state
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if not self.is_allowed():
            return
        if self.path == "/tokenize":
            ids = state.engine.model.encode(body["prompt"])
            self.answer({"tokens": ids, "count": len(ids)})
        elif self.path in ("/v1/completions", "/v1/fill"):
            refuse, state.refuse = state.refuse, None
            if refuse:
                sentence = state.SENTENCES.get(refuse, "the queue is full")
                self.error(refuse, sentence, {"Retry-After": "7"} if refuse == 429 else {})
            elif self.path == "/v1/fill":
                self.fill(body)
            else:
                self.complete(body)
        else:
            self.error(404, "there is nothing here")

    # Answers

    def is_allowed(self):
        state = self.server_state
        if state.is_loading:
            self.error(503, "the model is loading", code="loading")
        elif state.key and self.headers.get("Authorization", "").encode("latin-1") != f"Bearer {state.key}".encode():
            self.error(401, "a key is missing or wrong")
        else:
            return True
        return False

    def send(self, status, content, kind="application/json", headers={}):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def answer(self, value, status=200, headers={}):
        self.send(status, json.dumps(value, ensure_ascii=False).encode(), headers=headers)

    def error(self, status, message, headers={}, code=None):
        self.answer({"error": {"message": message, "type": "error", "param": None, "code": code}}, status, headers)

    def begin(self, kind, text=""):
        """Begins an answer to a text, whose unknown characters are counted."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if unknown := self.server_state.engine.model.encode(text).count(1):
            self.send_header("X-Leafcutter-Unknown", str(unknown))
        self.send_header("Connection", "close")
        self.end_headers()

    def write(self, text):
        self.wfile.write(text.encode())
        self.wfile.flush()

    def events(self):
        engine = self.server_state.engine
        self.begin("text/event-stream")
        try:
            model = {
                "name": self.server_state.name, "parameters": 10_000_000_000, "layers": engine.LAYERS,
                "blocks": engine.BLOCKS, "bytes": 9_400_000_000, "memory": engine.memory(), "context": 512,
                "sequences": 8, "vocabulary": True, "pinned": engine.pinned}
            self.write(f"event: model\ndata: {json.dumps(model)}\n\n")
            # Ten times a second while a sweep runs, once behind it, then every five seconds.
            quiet = 0
            while not self.server_state.is_stopped:
                facts = engine.facts()
                if facts["running"] or quiet % 50 == 0:
                    self.write(f"event: sweep\ndata: {json.dumps(facts)}\n\n")
                quiet = 0 if facts["running"] else quiet + 1
                time.sleep(0.1)
        except OSError:
            pass

    def complete(self, body):
        state, prompt = self.server_state, body["prompt"]
        ids = prompt if isinstance(prompt, list) else state.engine.model.encode(prompt)
        ids = ids if ids[:1] == [BEGIN] else [BEGIN, *ids]
        job = Job(state.engine.model, ids, body)
        self.begin("text/event-stream", "" if isinstance(prompt, list) else prompt)
        state.engine.submit(job)
        sent = 0
        try:
            while True:
                if sent == state.break_after:
                    state.break_after = None
                    return
                try:
                    index, step = job.answers.get(timeout=1)
                except queue.Empty:
                    if state.is_stopped:
                        return
                    place = f", {len(state.engine.waiting)} in the queue" if job in state.engine.waiting \
                        else " sweep 3, 41 % read, next token in 5.2 s"
                    self.write(f": keep-alive{place}\n\n")
                    continue
                if "beams" not in body:
                    self.write(f"data: {json.dumps(self.piece(job, index, step), ensure_ascii=False)}\n\n")
                    sent += 1
                if sent == state.fail_after:
                    state.fail_after = None
                    error = {"error": {
                        "message": "the disk gave an error", "type": "server_error", "param": None, "code": "io"}}
                    self.write(f"event: error\ndata: {json.dumps(error)}\n\n")
                    return
                if job.is_done and job.answers.empty():
                    break
            if "beams" in body:
                self.write(f"data: {json.dumps(self.beams(job), ensure_ascii=False)}\n\n")
            self.write("data: [DONE]\n\n")
        except OSError:
            pass
        finally:
            job.is_gone = True

    def envelope(self, job, choices):
        first = {"seed": job.seed} if job.is_first else {}
        job.is_first = False
        return {"id": f"cmpl-{id(job)}", "object": "text_completion", "created": int(time.time()),
                "model": self.server_state.name, "choices": choices, **first}

    def piece(self, job, index, step):
        text = lambda id: job.model.tokens[id]
        first = {"prompt_token_ids": job.prompt} if job.is_first else {}
        tokens = [step["id"]] if "id" in step else []
        return self.envelope(job, [{
            "index": index, "text": "".join(map(text, tokens)), "token_ids": tokens, "finish_reason": step["finish"],
            "logprobs": {
                "tokens": [text(id) for id in tokens], "token_logprobs": [step["logprob"] for _ in tokens],
                "top_logprobs": [{text(id): logprob for id, logprob in step["top"]} for _ in tokens],
                "text_offset": [0 for _ in tokens], "top_ids": [[id for id, _ in step["top"]] for _ in tokens],
            }, **first}])

    def beams(self, job):
        choices = []
        for index, sample in enumerate(job.samples):
            ids = sample.ids[len(job.prompt) + index:]
            choices.append({
                "index": index, "text": "".join(job.model.tokens[id] for id in ids), "token_ids": ids, "logprobs": None,
                "finish_reason": sample.finish, "score": -0.4 - 0.31 * index})
        return self.envelope(job, choices)

    def fill(self, body):
        state = self.server_state
        model = state.engine.model
        parts = re.split(r"<blank(?::(\d+))?>", body["text"])
        ids, blanks, text = [BEGIN], [], ""
        for index, part in enumerate(parts):
            if index % 2 == 0:
                text += part
                ids += model.encode(part)
                continue
            chosen, start = [], len(ids)
            for _ in range(int(part or 2)):
                chosen.append(next(id for id, _ in model.candidates(ids + chosen) if id > END))
            filled = "".join(model.tokens[id] for id in chosen)
            blanks.append({"start": start, "ids": chosen, "text": filled, "logprob": -0.7 * len(chosen)})
            ids += chosen
            text += filled
        self.begin("application/json", "".join(parts[::2]))
        try:
            for _ in range(3):
                time.sleep(state.sweep_seconds / 3)
                self.write("\n")
            self.write(json.dumps({"text": text, "ids": ids, "blanks": blanks}, ensure_ascii=False))
        except OSError:
            pass


if __name__ == "__main__":
    server = FakeServer(int(sys.argv[1]) if len(sys.argv) > 1 else 8080,
                        float(sys.argv[2]) if len(sys.argv) > 2 else 1.0)
    print(f"listening on {server.url}", file=sys.stderr)
    threading.Event().wait()
