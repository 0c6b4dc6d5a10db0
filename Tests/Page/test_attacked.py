"""Names, texts, stores and servers as nobody would have them."""
import json

import pytest
from playwright.sync_api import expect

from test_writing import POEM, idle, requests, saved, set_to, write, written

PIECE = {
    "model": "poems", "seed": 1, "prompt_token_ids": [6, 20], "choices": [{
        "index": 0, "text": "月", "token_ids": [30], "finish_reason": None, "logprobs": {
            "tokens": ["月"], "token_logprobs": [-0.5], "text_offset": [0], "top_ids": [list(range(30, 38))],
            "top_logprobs": [{word: -0.5 - i for i, word in enumerate("月日山水风花雪夜")}]}}]}


@pytest.fixture
def open_with(browser, open_page):
    """Opens a page in a browser that ran a script before: `open_with(server, script)`."""
    contexts = []

    def open_it(server, script):
        context = browser.new_context(locale="en")
        context.set_default_timeout(20_000)
        context.add_init_script(script)
        contexts.append(context)
        return open_page(server, context=context)

    yield open_it
    for context in contexts:
        context.close()


def answered(page, body, kind="text/event-stream", status=200):
    """Lets requests for texts be answered so."""
    page.route("**/v1/completions", lambda route: route.fulfill(status=status, content_type=kind, body=body))


def test_a_name_turns_and_marks_up_nothing_but_itself(fake, open_page):
    fake.name = "<b>x</b>\u202egnp\u0007" + "長" * 300
    page = open_page(fake, viewport={"width": 390, "height": 844})
    assert page.text_content("#model").startswith(f"\u2068{fake.name}\u2069")
    assert page.locator("#model b").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_text_of_any_characters_is_asked_for_and_kept(fake, open_page):
    text = "<script>alert(1)</script>&amp;\u202eשלום\u0007\u200b\ufeff\U0001F9D1\u200d\U0001F680"
    page = open_page(fake)
    bodies = requests(page)
    write(page, text, max_tokens=3)
    assert bodies[0]["prompt"] == text
    page.reload()
    page.wait_for_selector(".token")
    assert page.input_value("#text") == text
    assert page.locator("#sheet script").count() == 0


def test_half_a_character_is_the_servers_to_refuse(server, open_page):
    page = open_page(server)
    page.evaluate("""() => {
        const text = document.getElementById("text");
        text.value = "月\\ud83d";
        text.dispatchEvent(new Event("input"));
    }""")
    page.click("#go")
    page.wait_for_selector("#trouble:not([hidden]), .token")
    idle(page)
    page.wait_for_timeout(700)
    page.reload()
    assert page.evaluate("document.getElementById('text').value.charCodeAt(1)") == 0xD83D
    write(page, max_tokens=2)


@pytest.mark.parametrize("token", ["\u0007", "\u202e", "\u200b", "\ufeff\u200d", "\U000e0041"])
def test_a_token_that_nobody_sees_has_a_name(fake, open_page, token):
    fake.engine.model.tokens[fake.engine.model.ids["依"]] = token
    page = open_page(fake)
    write(page, max_tokens=2, decoding="greedy")
    assert written(page).startswith(token)
    assert page.locator(".token").first.get_attribute("aria-label").startswith(f"U+{ord(token[0]):04X}")
    page.locator(".token").first.focus()
    expect(page.locator("#choices [aria-current]")).to_contain_text(f"U+{ord(token[0]):04X}")


FORBIDDEN = """for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, {
    get() { throw new DOMException("no", "SecurityError"); } });"""
FULL = """Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };"""
ABSENT = """for (const name of ["localStorage", "sessionStorage"])
    Object.defineProperty(window, name, { value: null });"""


@pytest.mark.parametrize("script", [FORBIDDEN, FULL, ABSENT], ids=["forbidden", "full", "absent"])
def test_without_storage_the_page_works_until_it_is_left(make_server, open_with, script):
    page = open_with(make_server(key="叶 leaf"), script)
    expect(page.locator("#key-form")).to_be_visible()
    page.fill("#key", "叶 leaf")
    page.keyboard.press("Enter")
    page.wait_for_selector("#cells .cell")
    write(page, max_tokens=3)
    assert written(page) != ""
    page.click("#language")
    page.click("#theme")
    page.reload()
    page.wait_for_selector("#key-form:not([hidden])")


TOKEN = {"text": "月", "id": 3, "logprob": -1, "top": []}
RUN = {"prompt": "a", "kind": "samples", "requests": [], "samples": [{"tokens": [TOKEN], "finish": "stop"}]}
GARBAGE = [
    5, "x", [], [[]], {"text": {}}, {"settings": 5, "theme": "<", "language": {"a": 1}}, {"run": 1},
    {"run": {"prompt": "a"}}, {"settings": {"n": [], "max_tokens": {}, "decoding": ["beams"], "stop_strings": {}}},
    {"settings": {"seed": {}, "temperature": None}},
    *({"text": "a", "run": {**RUN, **change}} for change in (
        {"samples": [None]}, {"samples": []}, {"samples": [{"tokens": [None]}]},
        {"samples": [{"tokens": [{"text": 5}]}]},
        {"samples": [{"tokens": [{**TOKEN, "top": None}]}]}, {"samples": [{"tokens": [{**TOKEN, "top": [1]}]}]},
        {"samples": [{"tokens": [{**TOKEN, "logprob": "x"}]}]}, {"samples": [{"tokens": [], "score": "x"}]},
        {"samples": [{"tokens": [TOKEN], "text": "x", "ids": 1, "isEmpty": 1}]}, {"requests": None},
        {"requests": [None]},
        {"kind": "magic"}, {"report": 1, "isUnderWay": 2}, {"promptIds": "x"}, {"promptIds": [None]}, {"prompt": None},
        {"blanks": [None], "text": "b"}, {"blanks": [{"text": "c"}], "text": "b"}, {"blanks": [], "text": 5},
        {"blanks": 5})),
]


def test_whatever_is_stored_the_page_begins(fake, open_page):
    page = open_page(fake)
    for kept in GARBAGE:
        page.evaluate("""kept => addEventListener("pagehide", () => {
            for (const storage of [sessionStorage, localStorage]) storage.setItem("leafcutter.page", kept);
        })""", json.dumps(kept))
        page.reload()
        expect(page.locator("#go")).to_have_text("Continue")
        page.wait_for_selector("#cells .cell")
    write(page, max_tokens=2, decoding="greedy")
    assert written(page) != ""


def test_ids_of_another_model_are_not_sent(fake, open_page):
    page = open_page(fake)
    bodies = requests(page)
    write(page, max_tokens=3, decoding="greedy")
    text = POEM + written(page)
    fake.stop()
    fake.name = "another"
    fake.start()
    expect(page.locator("#model")).to_contain_text("another")
    for _ in range(2):
        before = POEM + written(page)
        count = page.locator(".token").count()
        page.click("#go")
        page.locator(".token").nth(count).wait_for()
        idle(page)
        assert bodies[-1]["prompt"] == before
    assert before.startswith(text)
    page.locator(".token").nth(1).click()
    page.locator("#choices button:not([aria-current])").filter(has_not_text="end of the text").first.click()
    page.wait_for_selector(".token.chosen")
    idle(page)
    assert isinstance(bodies[-1]["prompt"], str)


BROKEN = [
    ("text/html", "<html>Welcome to the hotel</html>"), ("application/json", "null"), ("application/json", "{}"),
    ("text/event-stream", "data: {\n\n"), ("text/event-stream", "event: error\ndata: what\n\n"),
    ("text/event-stream", ""), ("text/event-stream", "\0\0\0"), ("application/octet-stream", ""),
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_an_answer_that_makes_no_sense_is_said_and_takes_nothing(fake, open_page, number):
    page = open_page(fake)
    write(page, max_tokens=4, seed=5)
    before = written(page)
    answered(page, BROKEN[number][1], BROKEN[number][0])
    page.click("#again")
    expect(page.locator("#trouble-text")).not_to_have_text("")
    idle(page)
    assert page.input_value("#text") == POEM and written(page) == before
    page.unroute("**/v1/completions")
    page.click("#trouble-again")
    expect(page.locator("#trouble")).to_be_hidden()
    idle(page)
    assert written(page) == before


def test_an_event_that_is_cut_off_is_no_token(fake, open_page):
    page = open_page(fake)
    whole = f"data: {json.dumps(PIECE)}\n\n"
    answered(page, whole * 2 + whole[:60])
    page.fill("#text", "春")
    page.click("#go")
    expect(page.locator("#trouble-text")).to_contain_text("2 tokens are kept")
    assert written(page) == "月月"


def test_a_refusal_without_a_sentence_is_said_all_the_same(fake, open_page):
    page = open_page(fake)
    page.fill("#text", POEM)
    for status in [403, 404, 429, 502, 503, 401]:
        for body in ["", "<h1>Bad Gateway</h1>", "{}", '{"error":{}}', '{"error":"no"}']:
            page.unroute("**/v1/completions")
            answered(page, body, "application/json", status)
            page.click("#go")
            page.wait_for_selector("#key-form:not([hidden]), #trouble:not([hidden])")
            idle(page)
            said = page.inner_text("body")
            assert "undefined" not in said and "[object" not in said


def test_a_key_that_holds_no_longer_is_asked_for_again(fake, open_page):
    page = open_page(fake)
    write(page, max_tokens=2)
    fake.key = "new"
    count = page.locator(".token").count()
    page.click("#go")
    expect(page.locator("#key-form")).to_be_visible()
    # What was asked for without it goes on.
    page.fill("#key", "new")
    page.keyboard.press("Enter")
    page.locator(".token").nth(count).wait_for()


def test_a_link_of_another_version_sets_what_is_known(server, open_page):
    page = open_page(
        server, path="/#settings&max_tokens=7&stop=x&__proto__=1&constructor=2&top_k=1e999&n=3.7"
        "&seed=12345678901234567890&stop_strings=%F0%9F%98&decoding=nucleus&toString=1")
    values = saved(page)["settings"]
    assert values["max_tokens"] == 7 and values["top_k"] == 0 and values["n"] == 4 and values["seed"] == ""
    assert values["decoding"] == "sample" and len(values) == 11
    write(page, max_tokens=2, n=1)


def test_back_and_forward_keep_what_was_written(server, open_page):
    page = open_page(server)
    write(page, max_tokens=3)
    text = written(page)
    page.goto(server.url + "/#settings&max_tokens=9")
    page.goto("about:blank")
    page.go_back()
    page.wait_for_selector(".token")
    assert page.input_value("#text") == POEM and written(page) == text
    assert page.input_value("#set-max_tokens") == "9"
    page.go_forward()
    page.go_back()
    page.wait_for_selector("#cells .cell")
    count = page.locator(".token").count()
    page.click("#go")
    page.locator(".token").nth(count).wait_for()


def test_ten_thousand_tokens_are_shown_and_moved_through(fake, open_page):
    page = open_page(fake)
    body = f"data: {json.dumps(PIECE)}\n\n" * 10_000 + "data: [DONE]\n\n"
    answered(page, body)
    set_to(page, max_tokens=10_000)
    page.fill("#text", POEM)
    page.click("#go")
    # A tenth of this on a quiet machine; with work for each token at each token it took minutes. The stop button may
    # have come and gone before anybody looks for it.
    page.locator(".token").nth(9_999).wait_for(timeout=60_000)
    idle(page)
    assert page.locator(".token").count() == 10_000
    page.locator(".token").first.focus()
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement === [...document.querySelectorAll('.token')].at(-1)")
    page.wait_for_timeout(700)
    # More than a browser stores: the text stays, and where there is no room the answer goes.
    page.reload()
    assert page.input_value("#text") == POEM
