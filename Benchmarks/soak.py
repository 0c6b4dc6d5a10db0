#!/usr/bin/env python3
"""Lets `leafcutter serve` work for minutes under a hard limit of memory, with attackers beside its clients.

The server runs in a memory cgroup whose limit is its budget (Scripts/with-memory-cap; needs root). In turn come 10,000
connections on which nothing is asked, 10,000 requests one after another, and many streaming clients for ten minutes
with attackers beside them. Every streamed text is compared with what `leafcutter generate` gives for the same seed.
The figures are printed as a table; the status is 1 if an answer was lost or wrong, or if memory grew.

Usage: Benchmarks/soak.py LEAFCUTTER MODEL.leaf [--seconds 600] [--clients 64] [--memory 96MiB] [--requests 10000]
    [--idle 10000] [options of serve]
"""
import argparse
import asyncio
import json
import multiprocessing
import os
import pathlib
import random
import resource
import signal
import subprocess
import tempfile
import time

CAP = pathlib.Path(__file__).resolve().parent.parent / "Scripts/with-memory-cap"
PROMPTS = ["《登鹳雀楼》王之涣\n", "《静夜思》李白\n", "春眠不觉晓，", "今天天气"]
SEEDS = 16
TOKENS = 24


# What is asked, and what has to come of it.

def asked():
    """The bodies of the streaming clients."""
    return [
        {"prompt": prompt, "seed": seed, "max_tokens": TOKENS, "temperature": 1.0}
        for prompt in PROMPTS for seed in range(SEEDS)]


def expected(leafcutter, model):
    """The texts that the command gives for them."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for number, body in enumerate(asked()):
            file.write(json.dumps({"id": number, **body}) + "\n")
        file.flush()
        lines = subprocess.run(
            [leafcutter, "generate", model, "--requests", file.name, "--ordered", "--quiet"], check=True,
            stdout=subprocess.PIPE, text=True).stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    return [answer["text"] for answer in answers if answer.get("id") is not None]


# The server, and what is known of it.

class Server:
    def __init__(self, leafcutter, model, memory, options):
        bytes_ = str(memory)
        self.process = subprocess.Popen(
            [CAP, bytes_, "--no-drop", "--", leafcutter, "serve", model, "--listen", "127.0.0.1:0", "--memory", bytes_,
             *options], stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if line.startswith("listening on "):
                break
        else:
            raise SystemExit("the server did not start")
        self.line = line.strip()
        self.port = int(line.split()[2].rsplit(":", 1)[1])
        [self.id] = map(int, pathlib.Path(
            f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())
        self.group = next(
            root / f"memcap.{self.process.pid}" for root in mounts() if (root / f"memcap.{self.process.pid}").exists())

    def resident(self):
        return self.status("VmRSS") << 10

    def status(self, name):
        for line in pathlib.Path(f"/proc/{self.id}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise KeyError(name)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.id}/fd"))

    def charged(self):
        for name in ("memory.current", "memory.usage_in_bytes"):
            if (self.group / name).exists():
                return int((self.group / name).read_text())
        raise KeyError("memory.current")

    def stop(self):
        """The exit code, and what the cgroup says: peak and hits of the limit."""
        os.kill(self.id, signal.SIGTERM)
        _, errors = self.process.communicate(timeout=120)
        return self.process.returncode, errors.strip().splitlines()[-1]


def mounts():
    """Where memory cgroups may be."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        kind = words[words.index("-") + 1]
        if kind == "cgroup2" or kind == "cgroup" and "memory" in words[-1].split(","):
            yield pathlib.Path(words[4])


# HTTP, as far as it is needed.

class Connection:
    """A connection from an address of its own, so that the server takes it for a client of its own."""

    def __init__(self, port, address):
        self.port, self.address = port, address
        self.reader = self.writer = None

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(self.address, 0), limit=1 << 20)

    def close(self):
        if self.writer:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def ask(self, path, body=None):
        """The status, the headers and the bytes of an answer. A connection that was kept and has ended since is opened
        anew, as every client does."""
        for _ in range(2):
            was_kept = self.writer is not None
            try:
                if not was_kept:
                    await self.open()
                self.writer.write(request(path, body))
                return await self.answer()
            except (ConnectionError, asyncio.IncompleteReadError):
                self.close()
                if not was_kept:
                    raise
        raise ConnectionError

    async def answer(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status = int(head.split()[1])
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        data = b""
        if "content-length" in headers:
            data = await self.reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                data += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
        if headers.get("connection") == "close":
            self.close()
        return status, headers, data


def request(path, body=None, headers=""):
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    return (head + "\r\n").encode() + data


def streamed(data):
    """The text of a stream; nil if it is not whole."""
    if not data.endswith(b"data: [DONE]\n\n"):
        return None
    chunks = [json.loads(line[6:]) for line in data.split(b"\n") if line.startswith(b"data: {")]
    return "".join(choice["text"] for chunk in chunks for choice in chunk["choices"])


# Clients.

async def stream(port, number, until, texts, counts):
    connection = Connection(port, f"127.1.0.{number + 1}")
    rng = random.Random(number)
    bodies = asked()
    while time.monotonic() < until:
        choice = rng.randrange(len(bodies))
        begin = time.monotonic()
        try:
            status, headers, data = await asyncio.wait_for(
                connection.ask("/v1/completions", {**bodies[choice], "stream": True}), 300)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.TimeoutError, OSError) as error:
            counts["lost"] += 1
            counts.setdefault("first loss", f"{type(error).__name__} {error}")
            connection.close()
            continue
        if status == 429:
            counts["told to come back"] += 1
            await asyncio.sleep(min(5, float(headers["retry-after"])))
        elif status == 200 and streamed(data) == texts[choice]:
            counts["answers"] += 1
            counts["longest"] = max(counts["longest"], time.monotonic() - begin)
        else:
            counts["wrong"] += 1
            counts.setdefault("first wrong", f"{status} {data[-300:]!r}")
    connection.close()


def clients(port, count, seconds, texts, results):
    counts = {"answers": 0, "told to come back": 0, "lost": 0, "wrong": 0, "longest": 0.0}

    async def run():
        until = time.monotonic() + seconds
        await asyncio.gather(*(stream(port, number, until, texts, counts) for number in range(count)))

    asyncio.run(run())
    results.put(counts)


# Attackers: what each does once. What becomes of it is the server's choice; that others are served is not.

async def drip(connection):
    """A head that never ends."""
    for byte in request("/v1/completions", b"{}") * 9:
        connection.writer.write(bytes([byte]))
        await connection.writer.drain()
        await asyncio.sleep(0.5)


async def flood_headers(connection):
    connection.writer.write(request("/health", headers="".join(f"X-{i}: {'a' * 100}\r\n" for i in range(2000))))
    await connection.reader.read(4096)


async def chunk_without_end(connection):
    connection.writer.write(
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.writer.write(b"1000\r\n" + b"a" * 4096 + b"\r\n")
        await connection.writer.drain()
        await asyncio.sleep(0)


async def pipeline(connection):
    """Asks for more and more, and reads nothing."""
    for _ in range(20):
        connection.writer.write(request("/openapi.json") * 50)
        await asyncio.wait_for(connection.writer.drain(), 5)
        await asyncio.sleep(0.2)


async def nest(connection):
    connection.writer.write(request("/v1/completions", b'{"prompt":' + b"[" * 100_000 + b"]" * 100_000 + b"}"))
    await connection.reader.read(4096)


async def leave(connection):
    """Is gone before the answer."""
    connection.writer.write(request("/v1/completions", {"prompt": PROMPTS[0], "max_tokens": 400, "stream": True}))
    await asyncio.sleep(random.random())


async def send_anything(connection):
    connection.writer.write(os.urandom(20_000))
    await connection.reader.read(4096)


async def promise_a_body(connection):
    """Says that a long body comes, and sends it slowly."""
    connection.writer.write(
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 500000\r\n\r\n")
    for _ in range(100):
        connection.writer.write(b"a" * 4000)
        await asyncio.wait_for(connection.writer.drain(), 5)
        await asyncio.sleep(0.5)


async def do_nothing(connection):
    await connection.reader.read(4096)


# How many of each are at it at the same time, and how long they wait before they begin again.
ATTACKS = [
    (drip, 24, 0.1), (flood_headers, 2, 0.3), (chunk_without_end, 2, 0.3), (pipeline, 4, 0.3), (nest, 2, 0.3),
    (leave, 8, 0.1), (send_anything, 2, 0.3), (promise_a_body, 8, 0.1), (do_nothing, 16, 0.5),
]


async def attack(port, number, what, rest, until, counts):
    while time.monotonic() < until:
        connection = Connection(port, f"127.2.0.{number + 1}")
        try:
            await connection.open()
            await asyncio.wait_for(what(connection), max(0.1, until - time.monotonic()))
        except (ConnectionError, asyncio.TimeoutError, OSError, asyncio.LimitOverrunError):
            pass
        connection.close()
        counts[what.__name__] = counts.get(what.__name__, 0) + 1
        await asyncio.sleep(rest)


def attackers(port, seconds, results):
    counts = {}

    async def run():
        until = time.monotonic() + seconds
        number = 0
        tasks = []
        for what, count, rest in ATTACKS:
            for _ in range(count):
                tasks.append(attack(port, number, what, rest, until, counts))
                number += 1
        await asyncio.gather(*tasks)

    asyncio.run(run())
    results.put(counts)


# The three parts.

async def idle(server, count):
    """Opens connections and asks nothing by them, while somebody else asks: the longest that an answer took."""
    held, longest, open_ = [], 0.0, 0
    for number in range(count):
        connection = Connection(server.port, f"127.3.{number // 5000}.1")
        await connection.open()
        held.append(connection)
        if number % 500 == 499:
            begin = time.monotonic()
            status, _, _ = await Connection(server.port, "127.3.9.1").ask(
                "/v1/completions", {"prompt": PROMPTS[0], "max_tokens": 1})
            assert status == 200
            longest = max(longest, time.monotonic() - begin)
    await asyncio.sleep(1)
    open_ = sum(not connection.reader.at_eof() for connection in held)
    for connection in held:
        connection.close()
    return longest, open_


async def ask_often(server, count):
    """One request after another, of all kinds."""
    text = "春眠不觉晓，"
    kinds = [
        ("/v1/completions", {"prompt": text, "max_tokens": 1}, 200),
        ("/v1/completions", {"prompt": text, "max_tokens": 2, "stream": True}, 200),
        ("/v1/completions", {"prompt": text, "max_tokens": 0, "echo": True, "logprobs": 1}, 200),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": text}], "max_tokens": 1}, 200),
        ("/v1/embeddings", {"input": text}, 200), ("/v1/score", {"context": text, "target": "处"}, 200),
        ("/v1/fill", {"text": "春眠<blank:1>觉晓"}, 200), ("/tokenize", {"prompt": text}, 200),
        ("/v1/completions", {"prompt": 1}, 400), ("/v1/nothing", {}, 404), ("/metrics", None, 200), ("/", None, 200),
    ]
    connection = Connection(server.port, "127.4.0.1")
    for number in range(count):
        path, body, wanted = kinds[number % len(kinds)]
        status, _, data = await connection.ask(path, body)
        assert status == wanted, (path, status, data)
        # Every tenth comes by a connection of its own.
        if number % 10 == 9:
            connection.close()
    connection.close()


def mebibytes(count):
    return f"{count / (1 << 20):.1f}"


def leaks(server, count):
    """What the process has after some requests, and after all of them."""
    def look():
        # What was cancelled is over, and connections that ended are looked through.
        time.sleep(2)
        return server.resident(), server.descriptors(), server.status("Threads")

    asyncio.run(ask_often(server, max(1, count // 10)))
    before = look()
    begin = time.monotonic()
    asyncio.run(ask_often(server, count))
    seconds = time.monotonic() - begin
    return before, look(), seconds


def soak(server, arguments, texts):
    """Clients and attackers; memory by the second."""
    results, shapes = multiprocessing.Queue(), multiprocessing.Queue()
    processes = [
        multiprocessing.Process(
            target=clients, args=(server.port, arguments.clients, arguments.seconds, texts, results)),
        multiprocessing.Process(target=attackers, args=(server.port, arguments.seconds, shapes)),
    ]
    for process in processes:
        process.start()
    samples, begin = [], time.monotonic()
    while processes[0].is_alive():
        time.sleep(1)
        samples.append((time.monotonic() - begin, server.resident(), server.charged()))
        if results.qsize():
            break
    counts, attacks = results.get(), shapes.get()
    for process in processes:
        process.join()
    return samples, counts, attacks


def parsed():
    parser = argparse.ArgumentParser()
    parser.add_argument("leafcutter")
    parser.add_argument("model")
    for name, value in (("seconds", 600), ("clients", 64), ("requests", 10_000), ("idle", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--memory", default="96MiB")
    arguments, options = parser.parse_known_args()
    units = {"KiB": 10, "MiB": 20, "GiB": 30}
    arguments.bytes = int(float(arguments.memory[:-3]) * (1 << units[arguments.memory[-3:]]))
    return arguments, options


def main():
    arguments, options = parsed()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    texts = expected(arguments.leafcutter, arguments.model)
    assert len(texts) == len(asked())
    server = Server(arguments.leafcutter, arguments.model, arguments.bytes, ["--max-queue", "128", *options])
    rows, is_good = [("server", server.line)], True
    try:
        if arguments.idle:
            longest, open_ = asyncio.run(idle(server, arguments.idle))
            rows += [
                (f"{arguments.idle:,} idle connections: still open", f"{open_}"),
                ("longest answer to another client meanwhile", f"{longest * 1000:.0f} ms")]
        if arguments.requests:
            before, after, seconds = leaks(server, arguments.requests)
            rows += [
                (f"{arguments.requests:,} requests of 12 kinds", f"{arguments.requests / seconds:.0f} a second"),
                ("resident before, after", f"{mebibytes(before[0])}, {mebibytes(after[0])} MiB"),
                ("descriptors before, after", f"{before[1]}, {after[1]}"),
                ("threads before, after", f"{before[2]}, {after[2]}")]
            is_good = after[0] <= before[0] + (1 << 20) and after[1:] == before[1:]
        if arguments.seconds:
            samples, counts, attacks = soak(server, arguments, texts)
            minute = max((s for s in samples if s[0] <= 60), key=lambda s: s[1])[1:]
            later = [s for s in samples if s[0] > 60] or samples
            rows += [
                (f"{arguments.clients} clients, {arguments.seconds} s: answers, each the command's text",
                 f"{counts['answers']:,}"),
                ("tokens a second", f"{counts['answers'] * TOKENS / arguments.seconds:.0f}"),
                ("longest answer", f"{counts['longest']:.1f} s"),
                ("told to come back (429)", f"{counts['told to come back']:,}"),
                ("lost, wrong", f"{counts['lost']}, {counts['wrong']}"),
                ("attacks", f"{sum(attacks.values()):,}: "
                    + ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in attacks.items())),
                ("resident: most in the first minute, later", f"{mebibytes(minute[0])}, "
                    f"{mebibytes(max(s[1] for s in later))} MiB"),
                ("charged: most in the first minute, later",
                 f"{mebibytes(max(s[2] for s in samples if s[0] <= 60))}, {mebibytes(max(s[2] for s in later))} MiB")]
            for name in ("first loss", "first wrong"):
                if name in counts:
                    rows.append((name, counts[name]))
            is_good = is_good and counts["lost"] == counts["wrong"] == 0 and counts["answers"] > 0
            is_good = is_good and max(s[1] for s in later) <= minute[0] + (2 << 20)
    finally:
        status, said = server.stop()
        rows += [("exit status", f"{status}"), ("cgroup", said)]
    print("| | |\n| --- | --- |")
    for name, value in rows:
        print(f"| {name} | {value} |")
    raise SystemExit(0 if is_good and status == 0 else 1)


if __name__ == "__main__":
    main()
