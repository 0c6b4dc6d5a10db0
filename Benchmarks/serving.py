#!/usr/bin/env python3
"""Streams from `leafcutter serve` to 1, 2, 4 and 8 clients at once: tokens a second beside one client's, and the time
to the first token of one more while eight run.

Usage: Benchmarks/serving.py LEAFCUTTER MODEL.leaf [--tokens 16] [options of serve]
"""
import http.client
import json
import subprocess
import sys
import threading
import time


def stream(port, seed, tokens, prompt):
    """Seconds from the request to each piece of text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
    # No text ends before it has all its tokens.
    body = {"prompt": prompt, "max_tokens": tokens, "seed": seed, "stream": True, "logit_bias": {"7": -1000}}
    begin = time.monotonic()
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    times = []
    for line in answer:
        if line.startswith(b"data: {") and b'"text":""' not in line:
            times.append(time.monotonic() - begin)
    connection.close()
    return times


def together(port, clients, tokens, prompt):
    """Tokens a second of all clients between their first and their last piece, and the latest first piece."""
    results = [None] * clients

    def run(number):
        results[number] = stream(port, number, tokens, prompt)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return clients * tokens / (time.monotonic() - begin), max(times[0] for times in results)


def main():
    leafcutter, model, *options = sys.argv[1:]
    tokens = 16
    if "--tokens" in options:
        place = options.index("--tokens")
        tokens = int(options[place + 1])
        del options[place:place + 2]
    prompt = "《登鹳雀楼》王之涣\n"
    server = subprocess.Popen(
        [leafcutter, "serve", model, "--listen", "127.0.0.1:0", "--max-batch", "9", *options], stderr=subprocess.PIPE,
        text=True)
    try:
        for line in server.stderr:
            if line.startswith("listening on "):
                break
        print(line.strip())
        port = int(line.split()[2].rsplit(":", 1)[1])
        together(port, 1, 2, prompt)
        print("| clients | tokens a second | relative to one | first token, seconds |")
        print("| --- | --- | --- | --- |")
        one = None
        for clients in (1, 2, 4, 8):
            rate, first = together(port, clients, tokens, prompt)
            one = one or rate
            print(f"| {clients} | {rate:.2f} | {rate / one:.2f} | {first:.2f} |", flush=True)
        threads = [threading.Thread(target=stream, args=(port, seed, tokens, prompt)) for seed in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(tokens / one / 4)
        print(f"first token of a ninth while eight run: {stream(port, 9, 2, prompt)[0]:.2f} s")
        for thread in threads:
            thread.join()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
