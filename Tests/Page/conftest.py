"""Servers and browsers for the tests of the page."""
import os
import shlex
import subprocess
import tempfile

import pytest
from playwright.sync_api import expect, sync_playwright

from fake_server import FakeServer, free_port

# Other tests run at the same time.
expect.set_options(timeout=20_000)

BINARY, MODEL = os.environ.get("LEAFCUTTER_BIN"), os.environ.get("LEAFCUTTER_MODEL")
URL = os.environ.get("LEAFCUTTER_URL")
OPTIONS = os.environ.get("LEAFCUTTER_OPTIONS", "--memory 400MiB")
# With these a sweep should take some tenths of a second, so that a person could stop it: less memory than the model has
# weights, and a limit to reading.
SLOW_OPTIONS = os.environ.get(
    "LEAFCUTTER_SLOW_OPTIONS", "--memory 60MiB --max-batch 2 --max-context 400 --max-read-rate 30MB/s")
SLOW_SWEEP = 0.4


class RealServer:
    """`leafcutter serve` on a port of its own."""

    def __init__(self, key=None, is_slow=False):
        self.port = free_port()
        self.options = SLOW_OPTIONS if is_slow else OPTIONS
        self.key_file = None
        if key:
            self.key_file = tempfile.NamedTemporaryFile("w", suffix=".key")
            self.key_file.write(key + "\n")
            self.key_file.flush()
        self.start()

    def start(self):
        command = [BINARY, "serve", MODEL, "--listen", f"127.0.0.1:{self.port}", *shlex.split(self.options)]
        if self.key_file:
            command += ["--api-key-file", self.key_file.name]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stderr=self.log)
        for _ in range(600):
            self.log.seek(0)
            lines = self.log.read()
            if "listening on" in lines:
                return
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended: {lines}")
            try:
                self.process.wait(0.1)
            except subprocess.TimeoutExpired:
                pass
        raise RuntimeError(f"the server does not listen: {lines}")

    def stop(self):
        # The second signal ends it without waiting for what is under way.
        for _ in range(2):
            self.process.terminate()
            try:
                self.process.wait(1)
                return
            except subprocess.TimeoutExpired:
                continue
        self.process.wait(30)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


class RunningServer:
    """One that somebody else started."""
    url = URL

    def stop(self):
        pass


@pytest.fixture
def make_server():
    """Starts servers that end with the test: `make_server(key=.., is_slow=..)`."""
    made = []

    def make(key=None, is_slow=False):
        if URL:
            if key:
                pytest.skip("needs a server of its own")
            server = RunningServer()
        elif BINARY:
            server = RealServer(key, is_slow)
        else:
            server = FakeServer(key=key, **({"sweep_seconds": SLOW_SWEEP} if is_slow else {}))
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def server(make_server):
    return make_server()


@pytest.fixture
def slow_server(make_server):
    """One that takes its time for a token, as a large model does."""
    return make_server(is_slow=True)


@pytest.fixture
def own_server(make_server):
    """A slow one that the test may stop and start."""
    if URL:
        pytest.skip("needs a server of its own")
    return make_server(is_slow=True)


@pytest.fixture
def fake():
    """A server that does what no healthy one does."""
    server = FakeServer()
    yield server
    server.stop()


@pytest.fixture
def glacial():
    """So slow that no token comes before the key that stops it, however busy the machine is."""
    server = FakeServer(sweep_seconds=120)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Opens a page of a server: `open_page(server, locale=.., color_scheme=..)`; a script that fails fails the test."""
    contexts, errors = [], []

    def open_it(server, path="/", context=None, **options):
        if context is None:
            options = {"locale": "en", "viewport": {"width": 1280, "height": 900}, **options}
            context = browser.new_context(**options)
            context.set_default_timeout(20_000)
            context.grant_permissions(["clipboard-read", "clipboard-write"])
            contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text)
                if "Content Security Policy" in message.text else None)
        page.goto(server.url + path)
        page.wait_for_selector("#cells .cell, #key-form:not([hidden])")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert errors == []
