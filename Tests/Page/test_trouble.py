"""Errors in plain sentences, with nothing lost: what no healthy server does, so against the stand-in alone."""
import json

import pytest
from playwright.sync_api import expect

from test_writing import POEM, idle, requests, saved, set_to, write, written


@pytest.mark.parametrize("status, sentence", [
    (400, "does not fit into 512"), (413, "longer than the server takes"), (429, "trying again in 7 s"),
    (503, "loading its model"), (500, "failed (500)"),
])
def test_a_refusal_is_a_sentence_and_keeps_what_was_there(fake, open_page, status, sentence):
    page = open_page(fake)
    bodies = requests(page)
    write(page, max_tokens=4, seed=5)
    before = written(page)
    fake.refuse = status
    page.click("#again")
    expect(page.locator("#trouble")).to_contain_text(sentence)
    expect(page.locator("#trouble-detail")).to_have_text(fake.SENTENCES.get(status, "the queue is full"))
    idle(page)
    assert written(page) == before
    page.click("#trouble-again")
    expect(page.locator("#trouble")).to_be_hidden()
    idle(page)
    assert written(page) == before
    assert bodies == [bodies[0]] * 3


def test_a_connection_that_ends_early_is_no_end_of_the_text(fake, open_page):
    page = open_page(fake)
    write(page, max_tokens=9, decoding="greedy")
    whole = written(page)
    fake.break_after = 3
    page.click("#again")
    expect(page.locator("#trouble-text")).to_contain_text("3 tokens are kept")
    page.click("#trouble-again")
    page.locator(".token").nth(8).wait_for()
    idle(page)
    assert written(page).startswith(whole)


def test_a_stream_without_a_piece_keeps_nothing_of_another_text(fake, open_page):
    page = open_page(fake)
    write(page, max_tokens=5, decoding="greedy")
    fake.break_after = 0
    page.fill("#text", "月落乌啼霜满天，")
    page.click("#go")
    expect(page.locator("#trouble-text")).to_contain_text("The server cannot be reached.")
    expect(page.locator("#trouble-text")).not_to_contain_text("kept")
    page.fill("#text", POEM)
    expect(page.locator("#status")).to_contain_text("(5 tokens")


def test_a_first_request_that_is_refused_has_no_end(fake, open_page):
    page = open_page(fake)
    fake.refuse = 429
    page.fill("#text", POEM)
    page.click("#go")
    expect(page.locator("#trouble")).to_contain_text("trying again in 7 s")
    idle(page)
    expect(page.locator("#status")).to_have_text("")


def test_an_older_count_does_not_replace_a_newer_one(fake, open_page):
    page = open_page(fake)
    held = []
    page.route("**/tokenize", lambda route: held.append(route))
    for text in (POEM, "春"):
        with page.expect_request("**/tokenize"):
            page.fill("#text", text)
    while len(held) < 2:
        page.wait_for_timeout(20)
    held[1].fulfill(json={"tokens": [9], "count": 1})
    expect(page.locator("#count")).to_have_text("1 token of 512.")
    with page.expect_response("**/tokenize"):
        held[0].fulfill(json={"tokens": [9] * 77, "count": 77})
    page.wait_for_timeout(100)
    expect(page.locator("#count")).to_have_text("1 token of 512.")


def test_an_error_inside_the_stream_is_said(fake, open_page):
    page = open_page(fake)
    fake.fail_after = 2
    write(page, max_tokens=9)
    expect(page.locator("#trouble")).to_contain_text("The server broke off. The server cannot read its model.")
    expect(page.locator("#trouble-detail")).to_have_text("the disk gave an error")
    assert page.locator(".token").count() == 2


def test_an_error_is_said_in_the_language_of_the_page(fake, open_page):
    page = open_page(fake, locale="zh-CN")
    fake.refuse = 413
    page.fill("#text", POEM)
    page.click("#go")
    expect(page.locator("#trouble-text")).to_contain_text("文字太长")
    page.click("#language")
    expect(page.locator("#trouble-text")).to_contain_text("longer than the server takes")


@pytest.mark.parametrize("error, chinese, english", [
    ({"code": "context_length_exceeded"}, "超过了服务器能容纳的长度", "longer than the server has room for"),
    ({"param": "top_k"}, "服务器不接受“Top-k”", "does not take the setting “Top-k”"),
    ({"param": "stop"}, "服务器不接受“遇到即停”", "does not take the setting “Stop before”"),
    ({"param": "prompt"}, "服务器做不到", "The server cannot do that"),
    ({"code": "out_of_memory", "status": 503}, "内存不足", "too little memory"),
    ({"code": "unknown_host", "status": 403}, "不接受地址栏中的这个名称", "name in the address line"),
    ({"code": "constructor", "status": 500}, "服务器出错（500）", "failed (500)"),
])
def test_what_the_server_means_is_told_in_both_languages(fake, open_page, error, chinese, english):
    page = open_page(fake, locale="zh-CN")
    body = {"error": {"message": "its own sentence", "type": "error", "param": None, "code": None, **error}}
    page.route("**/v1/completions", lambda route: route.fulfill(
        status=error.get("status", 400), content_type="application/json", body=json.dumps(body)))
    page.fill("#text", POEM)
    page.click("#go")
    expect(page.locator("#trouble-text")).to_contain_text(chinese)
    expect(page.locator("#trouble-detail")).to_have_text("its own sentence")
    assert page.get_attribute("#trouble-detail", "lang") == "en"
    page.click("#language")
    expect(page.locator("#trouble-text")).to_contain_text(english)


def test_a_model_that_loads_is_waited_for(fake, open_page):
    page = open_page(fake)
    fake.stop()
    fake.is_loading = True
    fake.start()
    expect(page.locator("#fact-state")).to_have_text("the model is loading")
    fake.is_loading = False
    expect(page.locator("#fact-state")).to_have_text("at rest")


def test_tokens_that_look_like_numbers_keep_their_ids(fake, open_page):
    page = open_page(fake)
    bodies = requests(page)
    write(page, "数", max_tokens=3, decoding="greedy")
    ids = fake.engine.model.ids
    for entry in saved(page)["choices"][0]["tokens"][0]["top"]:
        assert entry["id"] == ids[entry["text"]]
    page.locator(".token").first.click()
    page.locator("#choices button").filter(has=page.locator("b", has_text="10")).click()
    page.wait_for_selector(".token.chosen")
    idle(page)
    assert bodies[1]["prompt"][-1] == ids["10"]


def test_a_text_that_was_held_back_is_no_second_token(fake, open_page):
    page = open_page(fake)
    text = page.evaluate("""async () => {
        const { Sample } = await import("/run.js");
        const sample = new Sample();
        sample.begin();
        const logprobs = tokens => ({ tokens, token_logprobs: [-1], top: [], top_ids: [] });
        sample.take({ text: "一", token_ids: [8], logprobs: logprobs(["一"]) });
        sample.take({ text: "", token_ids: [9], logprobs: logprobs(["二"]) });
        sample.take({ text: "二", token_ids: [], logprobs: null });
        sample.take({ text: "", token_ids: [], logprobs: null, finish_reason: "stop" });
        return sample.text;
    }""")
    assert text == "一二"


def test_a_stop_string_takes_away_the_tokens_that_hold_it(fake, open_page):
    page = open_page(fake)
    left = page.evaluate("""async () => {
        const { Sample } = await import("/run.js");
        const sample = new Sample();
        sample.begin();
        const piece = (text, tokens, finish) => sample.take({
            text, finish_reason: finish, token_ids: tokens.map(() => 9),
            logprobs: { tokens, token_logprobs: tokens.map(() => -1), top: [], top_ids: [] } });
        piece("一", ["一"], null);
        piece("", ["二三"], null);
        piece("二", ["四"], "stop");
        return [sample.text, sample.tokens.length, sample.finish];
    }""")
    assert left == ["一二", 2, "stop"]


def test_the_end_of_the_text_can_be_chosen(fake, open_page):
    page = open_page(fake)
    write(page, "更上一层楼。", n=6, max_tokens=1, seed=1, temperature=2, top_p=1)
    bodies = requests(page)
    page.locator(".token").first.click()
    page.locator("#choices button").filter(has_text="end of the text").click()
    expect(page.locator("#status")).to_contain_text("You ended the text here")
    assert bodies == []


def test_what_the_server_sends_is_text_and_never_markup(fake, open_page):
    page = open_page(fake)
    fake.engine.model.tokens[fake.engine.model.ids["依"]] = "<img src=x onerror=alert(1)>"
    write(page, max_tokens=2, decoding="greedy")
    page.locator(".token").first.click()
    assert written(page).startswith("<img src=x")
    assert page.locator("#answer img, #choices img").count() == 0


def test_a_slow_sweep_says_when_the_next_token_comes(glacial, open_page):
    page = open_page(glacial)
    page.fill("#text", POEM)
    page.click("#go")
    expect(page.locator("#status")).to_contain_text("The model reads your text")
    expect(page.locator("#status")).to_contain_text("The next token comes in")
    expect(page.locator("#fact-next")).to_contain_text("in ")
    page.keyboard.press("Escape")
    idle(page)
    expect(page.locator("#status")).to_contain_text("Stopped (0 tokens")


def test_a_text_in_the_queue_says_that_it_waits(glacial, open_page):
    glacial.engine.places = 1
    others, mine = open_page(glacial), open_page(glacial)
    others.fill("#text", POEM)
    others.click("#go")
    expect(others.locator("#status")).to_contain_text("The model reads your text")
    mine.fill("#text", POEM)
    mine.click("#go")
    expect(mine.locator("#status")).to_have_text("Your text waits for its turn; 1 text is in the queue.")
    expect(mine.locator("#fact-rows")).to_contain_text("0 yours, 1 others")
    expect(others.locator("#fact-rows")).to_contain_text("1 yours, 0 others")
    # Its stream has said a word by now.
    mine.wait_for_timeout(1500)
    expect(mine.locator("#status")).to_have_text("Your text waits for its turn; 1 text is in the queue.")
    mine.keyboard.press("Escape")
    idle(mine)
    expect(mine.locator("#status")).to_contain_text("Stopped (0 tokens")
