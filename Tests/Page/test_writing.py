"""The way of a person: to write, to go on, to choose, to stop, to fill blanks, to compare."""
import json
import re

import pytest
from playwright.sync_api import expect

POEM = "《登鹳雀楼》王之涣\n白日"


# A text of more than a hundred tokens, of the demo model and of the stand-in: there is time to stop it.
LONG = {"max_tokens": 300, "temperature": 1.5, "top_p": 1, "seed": 33}


def set_to(page, **settings):
    for name, value in settings.items():
        if name == "decoding":
            page.locator(f"input[name=decoding][value={value}]").check()
        else:
            page.locator(f"#set-{name}").fill(str(value))


def idle(page, timeout=60_000):
    page.wait_for_selector("#go:not(.stop)", timeout=timeout)


def write(page, text=POEM, **settings):
    """Continues a text to its end, each time with the same tokens."""
    set_to(page, **{**({} if "decoding" in settings else {"seed": 1}), **settings})
    page.fill("#text", text)
    press(page)


def press(page, button="#go"):
    """Presses a button that asks for a text, and waits for its end. The button that stops it may come and go unseen."""
    with page.expect_response("**/v1/completions"):
        page.click(button)
    idle(page)


def requests(page):
    """Bodies of the requests that the page sends from now on."""
    bodies = []
    page.on("request", lambda request: bodies.append(json.loads(request.post_data))
            if request.url.endswith(("/v1/completions", "/v1/fill")) else None)
    return bodies


def saved(page):
    """What the page writes into a JSON file."""
    with page.expect_download() as download:
        page.click("#save-json")
    with open(download.value.path(), encoding="utf-8") as file:
        return json.load(file)


def written(page):
    return "".join(page.locator("#answer .token").evaluate_all("all => all.map(token => token.textContent)"))


def test_tokens_come_behind_the_text_with_their_probabilities(server, open_page):
    page = open_page(server)
    write(page, max_tokens=12, decoding="greedy")
    tokens = page.locator(".token")
    assert 1 <= tokens.count() <= 12
    assert all(shade in list("012345") for shade in tokens.evaluate_all("all => all.map(token => token.dataset.p)"))
    assert re.search(r"\d %", tokens.first.get_attribute("aria-label"))
    # The first token stands in the line of the text's end, behind it.
    end, first = page.locator("#mirror .end").bounding_box(), tokens.first.bounding_box()
    assert abs(first["x"] - end["x"]) < 3
    assert abs(first["y"] + first["height"] / 2 - end["y"] - end["height"] / 2) < 8


def test_the_keyboard_alone_writes_chooses_and_goes_on_from_there(server, open_page):
    page = open_page(server)
    set_to(page, max_tokens=8, temperature=1)
    bodies = requests(page)
    page.focus("#text")
    page.keyboard.insert_text(POEM)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".token")
    idle(page)
    before = saved(page)
    page.focus("#text")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className").startswith("token")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#choices")).to_be_visible()
    page.keyboard.press("Enter")
    chosen = page.evaluate("document.activeElement.querySelector('b').textContent")
    with page.expect_response("**/v1/completions"):
        page.keyboard.press("Enter")
    idle(page)
    after = saved(page)
    tokens, old = after["choices"][0]["tokens"], before["choices"][0]["tokens"]
    assert tokens[0] == old[0]
    assert tokens[1]["chosen"] and tokens[1]["id"] in [entry["id"] for entry in old[1]["top"]]
    assert chosen in (tokens[1]["text"], "line break", "space")
    # What went out: the ids of the text, of what stays, and of the choice.
    assert bodies[1]["prompt"] == before["prompt_token_ids"] + [old[0]["id"], tokens[1]["id"]]
    assert bodies[1]["n"] == 1
    page.click("#undo")
    # The seed is that of the text that is back.
    assert {**saved(page), "made": before["made"]} == before


def test_alternatives_open_on_hover_and_close_on_escape(server, open_page):
    page = open_page(server)
    write(page, max_tokens=6)
    token, choices = page.locator(".token").nth(1), page.locator("#choices")
    token.hover()
    expect(choices).to_be_visible()
    assert 2 <= choices.locator("button").count() <= 9
    expect(choices.locator("[aria-current]")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(choices).to_be_hidden()
    token.focus()
    expect(choices).to_be_visible()
    page.mouse.click(5, 5)
    expect(choices).to_be_hidden()


def test_choosing_with_the_pointer_replaces_what_follows(server, open_page):
    page = open_page(server)
    write(page, max_tokens=6)
    first = page.locator(".token").first.text_content()
    set_to(page, max_tokens=3)
    page.locator(".token").nth(1).hover()
    other = page.locator("#choices button:not([aria-current])").filter(has_not_text="end of the text").first
    other.click()
    page.wait_for_selector(".token.chosen")
    idle(page)
    assert page.locator(".token").first.text_content() == first
    assert 2 <= page.locator(".token").count() <= 5


def test_stop_keeps_the_tokens_and_continue_goes_on_behind_them(slow_server, open_page):
    page = open_page(slow_server)
    set_to(page, **LONG)
    bodies = requests(page)
    page.fill("#text", POEM)
    page.click("#go")
    page.locator(".token").nth(1).wait_for()
    page.click("#go")
    idle(page)
    expect(page.locator("#status")).to_contain_text("Stopped")
    kept = saved(page)
    set_to(page, max_tokens=3)
    page.click("#go")
    page.locator(".token").nth(len(kept["choices"][0]["ids"])).wait_for()
    idle(page)
    assert bodies[1]["prompt"] == kept["prompt_token_ids"] + kept["choices"][0]["ids"]
    assert written(page).startswith(kept["choices"][0]["text"])


def test_a_seed_writes_the_same_text_again(server, open_page):
    page = open_page(server)
    write(page, max_tokens=10, temperature=1.2, seed=41)
    first = written(page)
    press(page, "#again")
    assert written(page) == first
    assert saved(page)["seed"] == 41


def test_a_random_seed_is_shown_and_can_be_kept(server, open_page):
    page = open_page(server)
    write(page, max_tokens=6, seed="")
    seed = re.search(r"seed (\d+)", page.text_content("#status"))[1]
    page.click("#use-seed")
    assert page.input_value("#set-seed") == seed


def test_versions_stand_side_by_side_and_one_is_written_on(server, open_page):
    page = open_page(server)
    bodies = requests(page)
    write(page, n=3, max_tokens=6, temperature=1.4, top_p=1)
    versions = page.locator(".version")
    expect(versions).to_have_count(3)
    assert bodies[0]["n"] == 3
    second = saved(page)["choices"][1]["text"]
    versions.nth(1).get_by_text("Write on from this").click()
    assert page.input_value("#text") == POEM + second
    expect(versions).to_have_count(0)
    assert page.evaluate("document.activeElement.id") == "text"


def test_an_alternative_of_one_version_leaves_the_others(server, open_page):
    page = open_page(server)
    write(page, n=2, max_tokens=5, temperature=1.4, top_p=1)
    before = saved(page)["choices"]
    page.locator(".version").nth(1).locator(".token").first.click()
    page.locator("#choices button:not([aria-current])").first.click()
    page.wait_for_selector(".token.chosen")
    idle(page)
    after = saved(page)["choices"]
    assert after[0] == before[0]
    assert after[1]["tokens"][0]["chosen"]


def test_beams_come_with_scores_best_first(server, open_page):
    page = open_page(server)
    write(page, decoding="beams", beams=3, max_tokens=6)
    expect(page.locator(".version")).to_have_count(3)
    scores = [choice["score"] for choice in saved(page)["choices"]]
    assert scores == sorted(scores, reverse=True)
    expect(page.locator(".version h3").first).to_contain_text("score")


def test_what_has_no_alternatives_is_no_button(server, open_page):
    page = open_page(server)
    write(page, decoding="beams", beams=2, max_tokens=6)
    tokens = page.locator(".version .token")
    tokens.first.click()
    tokens.first.hover()
    page.wait_for_timeout(400)
    expect(page.locator("#choices")).to_be_hidden()
    assert page.locator(".token[role], .token[tabindex]").count() == 0
    expect(page.locator(".version .output").first).to_have_attribute("aria-label", "What the model wrote.")
    write(page, decoding="greedy", max_tokens=4)
    assert page.locator(".token[role=button][tabindex='0']").count() == 1


def test_keys_pass_over_tokens_without_alternatives(fake, open_page):
    page = open_page(fake)
    write(page, max_tokens=4, decoding="greedy")
    assert page.locator(".token").count() == 4
    # It is stored a moment later.
    page.wait_for_timeout(700)
    page.evaluate("""() => {
        const kept = JSON.parse(sessionStorage["leafcutter.page"]);
        for (const index of [0, 2]) kept.run.samples[0].tokens[index].top = [];
        for (const storage of [sessionStorage, localStorage]) storage["leafcutter.page"] = JSON.stringify(kept);
        addEventListener("pagehide", () => {
            for (const storage of [sessionStorage, localStorage]) storage["leafcutter.page"] = JSON.stringify(kept);
        });
    }""")
    page.reload()
    page.wait_for_selector(".token")
    page.focus("#text")
    at = lambda: page.evaluate("[...document.querySelectorAll('.token')].indexOf(document.activeElement)")
    for key, index in [("Tab", 1), ("ArrowLeft", 1), ("ArrowRight", 3), ("Home", 1), ("End", 3), ("ArrowLeft", 1)]:
        page.keyboard.press(key)
        assert at() == index, key


def test_a_seed_that_is_none_stays_and_is_told_so(server, open_page):
    page = open_page(server)
    bodies = requests(page)
    field, wrong = page.locator("#set-seed"), page.locator("#set-seed-wrong")
    expect(wrong).to_be_hidden()
    for typed in ["41x", "-1", "1234567890123456"]:
        field.fill(typed)
        field.press("Tab")
        expect(wrong).to_contain_text("at most 15 digits")
        expect(field).to_have_attribute("aria-invalid", "true")
        assert field.input_value() == typed
    page.click("#language")
    expect(wrong).to_contain_text("最多 15 位")
    assert field.input_value() == "1234567890123456"
    page.click("#language")
    # None is sent, least of all the one that was there before.
    write(page, max_tokens=2, seed="7?")
    assert "seed" not in bodies[0]
    for right in ["42", ""]:
        field.fill(right)
        expect(wrong).to_be_hidden()
        expect(field).to_have_attribute("aria-invalid", "false")
    field.fill("no")
    page.click("#reset")
    assert field.input_value() == ""
    expect(wrong).to_be_hidden()


def test_marked_words_become_a_blank_that_is_filled(server, open_page):
    page = open_page(server)
    page.fill("#text", "床前明月光")
    page.focus("#text")
    page.keyboard.press("Control+Home")
    for key in ["ArrowRight", "ArrowRight", "Shift+ArrowRight"]:
        page.keyboard.press(key)
    page.select_option("#blank-size", "1")
    page.click("#blank")
    assert page.input_value("#text") == "床前<blank:1>月光"
    expect(page.locator("#go")).to_have_text("Fill the blanks")
    page.click("#go")
    filled = page.locator("mark.filled")
    expect(filled).to_have_count(1)
    word = filled.text_content()
    page.click("#keep")
    assert page.input_value("#text") == f"床前{word}月光"
    # The browser's undo knows of it.
    page.keyboard.press("Control+z")
    assert page.input_value("#text") == "床前<blank:1>月光"


def test_a_changed_text_does_not_get_an_answer_of_another_one(server, open_page):
    page = open_page(server)
    write(page, max_tokens=5)
    answer = written(page)
    page.focus("#text")
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("又")
    expect(page.locator(".stale")).to_be_visible()
    page.click("#copy")
    assert page.evaluate("navigator.clipboard.readText()") == POEM + "又"
    page.click(".stale button")
    expect(page.locator(".stale")).to_have_count(0)
    assert page.input_value("#text") == POEM
    assert written(page) == answer


def test_what_the_vocabulary_lacks_is_said_quietly(server, open_page):
    page = open_page(server)
    write(page, "春🦀🐺🦀眠", max_tokens=2)
    expect(page.locator("#unknown")).to_contain_text("lacks 3 characters")
    page.click("#language")
    expect(page.locator("#unknown")).to_contain_text("有 3 个字符不在模型的词表中")
    page.reload()
    expect(page.locator("#unknown")).to_contain_text("有 3 个字符")
    page.fill("#text", "春眠")
    expect(page.locator("#unknown")).to_be_hidden()
    press(page)
    expect(page.locator("#unknown")).to_be_hidden()
    page.fill("#text", "床前<blank:1>🦀")
    page.click("#go")
    expect(page.locator("#unknown")).to_contain_text("有 1 个字符")


def test_write_on_makes_the_answer_part_of_the_text(server, open_page):
    page = open_page(server)
    write(page, max_tokens=5)
    answer = written(page)
    page.click("#keep")
    assert page.input_value("#text") == POEM + answer
    expect(page.locator(".token")).to_have_count(0)


def test_a_beginning_is_offered_where_there_is_no_text(server, open_page):
    page = open_page(server)
    page.locator("#beginnings button").first.click()
    assert page.input_value("#text") == "《静夜思》李白\n"
    expect(page.locator("#beginnings")).to_be_hidden()


def test_nothing_is_asked_without_a_text(server, open_page):
    page = open_page(server)
    bodies = requests(page)
    page.click("#go")
    expect(page.locator("#trouble")).to_contain_text("Write something first")
    assert bodies == []


def test_copy_and_files_hold_text_settings_and_seed(server, open_page):
    page = open_page(server)
    write(page, max_tokens=5, seed=7, temperature=1.1)
    text = POEM + written(page)
    page.click("#copy")
    assert page.evaluate("navigator.clipboard.readText()") == text
    with page.expect_download() as download:
        page.click("#save-text")
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        assert file.read() == text
    report = saved(page)
    assert report["seed"] == 7 and report["settings"]["temperature"] == 1.1
    assert report["prompt"] == POEM and POEM + report["choices"][0]["text"] == text
    assert report["requests"][0]["max_tokens"] == 5


@pytest.mark.parametrize("locale, word", [("zh-CN", "续写"), ("de", "Continue")])
def test_the_language_is_the_browsers_and_can_be_changed(server, open_page, locale, word):
    page = open_page(server, locale=locale)
    expect(page.locator("#go")).to_have_text(word)
    page.click("#language")
    other = {"续写": "Continue", "Continue": "续写"}[word]
    expect(page.locator("#go")).to_have_text(other)
    page.wait_for_timeout(700)
    page.reload()
    expect(page.locator("#go")).to_have_text(other)
