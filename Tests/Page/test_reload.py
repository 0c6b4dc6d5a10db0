"""What survives a reload, a link, another tab."""
from playwright.sync_api import expect

from test_writing import LONG, POEM, idle, saved, set_to, write, written


def settle(page):
    """Until the page has stored what changed."""
    page.wait_for_timeout(700)


def test_a_reload_keeps_text_answer_and_settings(server, open_page):
    page = open_page(server)
    write(page, max_tokens=5, temperature=1.25)
    before = saved(page)
    page.reload()
    page.wait_for_selector(".token")
    after = saved(page)
    assert page.input_value("#text") == POEM
    assert {**after, "made": 0} == {**before, "made": 0}
    set_to(page, max_tokens=2)
    page.click("#go")
    page.locator(".token").nth(len(before["choices"][0]["ids"])).wait_for()


def test_a_reload_while_the_model_writes_keeps_what_is_there_and_says_so(slow_server, open_page):
    page = open_page(slow_server)
    set_to(page, **LONG)
    page.fill("#text", POEM)
    page.click("#go")
    page.locator(".token").nth(2).wait_for()
    page.reload()
    expect(page.locator("#status")).to_contain_text("loaded anew")
    assert page.locator(".token").count() >= 3
    expect(page.locator("#go")).to_have_text("Continue")


def test_a_link_holds_the_settings_and_not_the_text(server, open_page):
    page = open_page(server)
    page.fill("#text", "秘密")
    set_to(page, max_tokens=33, temperature=1.3, stop_strings="。\n，")
    page.click("#link")
    link = page.evaluate("navigator.clipboard.readText()")
    assert "temperature=1.3" in link and "秘密" not in link and "%E7" not in link.split("stop_strings")[0]
    other = open_page(server, path="/" + link.split("/")[-1])
    assert other.input_value("#set-max_tokens") == "33"
    assert other.input_value("#set-stop_strings") == "。\n，"
    assert other.input_value("#text") == ""
    # Later changes outlive a reload.
    set_to(other, max_tokens=34)
    settle(other)
    other.reload()
    assert other.input_value("#set-max_tokens") == "34"


def test_a_link_with_nonsense_changes_nothing(server, open_page):
    page = open_page(server, path="/#settings&max_tokens=many&temperature=NaN&decoding=magic&seed=-1&top_p=9")
    assert page.input_value("#set-max_tokens") == "60"
    assert page.input_value("#set-temperature") == "0.9"
    assert page.input_value("#set-seed") == ""
    assert page.input_value("#set-top_p") == "1"


def test_two_tabs_keep_a_text_each(server, open_page):
    one = open_page(server)
    one.fill("#text", "第一篇")
    # While it is open: only a page that is left stores at once.
    while "第一篇" not in one.evaluate("localStorage.getItem('leafcutter.page') ?? ''"):
        one.wait_for_timeout(50)
    two = open_page(server, context=one.context)
    # A new tab begins with the last text.
    assert two.input_value("#text") == "第一篇"
    two.fill("#text", "第二篇")
    settle(two)
    one.reload()
    two.reload()
    assert (one.input_value("#text"), two.input_value("#text")) == ("第一篇", "第二篇")


def test_colours_follow_the_system_until_a_person_says_otherwise(server, open_page):
    page = open_page(server, color_scheme="dark")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)
    page.click("#theme")
    light = page.evaluate(ground)
    assert light != dark
    settle(page)
    page.reload()
    assert page.evaluate(ground) == light


def test_storage_that_holds_nonsense_does_no_harm(server, open_page):
    page = open_page(server)
    page.evaluate("""() => {
        addEventListener("pagehide", () => {
            sessionStorage.setItem("leafcutter.page", '{"text": 5, "settings": {"n": "x"}, "run": {"samples": 3}}');
            localStorage.setItem("leafcutter.page", "{");
        });
    }""")
    page.reload()
    page.wait_for_selector("#cells .cell")
    write(page, max_tokens=2)
    assert written(page) != ""
