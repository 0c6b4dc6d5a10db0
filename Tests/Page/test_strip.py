"""The strip of the sweep."""
from playwright.sync_api import expect

from test_writing import LONG, POEM, idle, set_to


def test_the_strip_shows_each_block_and_what_is_computed(slow_server, open_page):
    page = open_page(slow_server)
    cells = page.locator("#cells .cell")
    label = page.get_attribute("#cells", "aria-label")
    assert label.endswith("At rest.")
    assert f"in {cells.count()} blocks" in label
    assert f" {page.locator('#cells .cell.pinned').count()} in memory" in label
    set_to(page, **LONG)
    page.fill("#text", POEM)
    page.click("#go")
    page.locator("#cells .cell.computing").wait_for()
    expect(page.locator("#fact-rows")).to_contain_text("1 yours")
    expect(page.locator("#fact-memory")).to_contain_text("iB / ")
    page.click("#go")
    idle(page)
    expect(page.locator("#fact-state")).to_have_text("at rest")


def test_texts_of_others_are_told_from_ones_own(slow_server, open_page):
    mine, other = open_page(slow_server), open_page(slow_server)
    for page in (mine, other):
        set_to(page, **LONG)
        page.fill("#text", POEM)
        page.click("#go")
    expect(mine.locator("#fact-rows")).to_contain_text("1 yours, 1 others")
    for page in (mine, other):
        page.click("#go")
        idle(page)


def test_a_key_is_asked_for_only_when_the_server_wants_one(make_server, open_page):
    server = make_server(key="leaf-4711")
    page = open_page(server)
    expect(page.locator("#key-form")).to_be_visible()
    page.fill("#key", "wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#key-hint")).to_contain_text("does not accept")
    page.fill("#key", "leaf-4711")
    page.keyboard.press("Enter")
    page.wait_for_selector("#cells .cell")
    expect(page.locator("#key-form")).to_be_hidden()
    set_to(page, max_tokens=4)
    page.fill("#text", POEM)
    page.click("#go")
    page.wait_for_selector(".token")
    idle(page)
    assert "leaf-4711" not in page.evaluate("JSON.stringify(localStorage) + location.href")
    page.reload()
    page.wait_for_selector("#cells .cell")
    expect(page.locator("#key-form")).to_be_hidden()


def test_no_key_field_without_a_key(server, open_page):
    page = open_page(server)
    expect(page.locator("#key-form")).to_be_hidden()


def test_a_server_that_comes_back_is_found_again(own_server, open_page):
    page = open_page(own_server)
    own_server.stop()
    expect(page.locator("#fact-state")).to_contain_text("not reached")
    page.fill("#text", POEM)
    page.click("#go")
    expect(page.locator("#trouble")).to_contain_text("cannot be reached")
    own_server.start()
    expect(page.locator("#fact-state")).to_have_text("at rest")
    expect(page.locator("#trouble")).to_be_hidden()
    set_to(page, max_tokens=4)
    page.click("#go")
    page.wait_for_selector(".token")


def test_a_server_that_stops_leaves_what_was_written(own_server, open_page):
    page = open_page(own_server)
    set_to(page, **LONG)
    page.fill("#text", POEM)
    page.click("#go")
    page.locator(".token").nth(1).wait_for()
    own_server.stop()
    idle(page)
    expect(page.locator("#trouble")).to_be_visible()
    assert page.locator(".token").count() >= 2
    own_server.start()
    expect(page.locator("#fact-state")).to_have_text("at rest")
    set_to(page, max_tokens=3)
    before = page.locator(".token").count()
    page.click("#go")
    page.locator(".token").nth(before).wait_for()
