"""For everybody: axe's findings, keys, small screens."""
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from test_writing import set_to, write


def serious(page):
    found = Axe().run(page).response["violations"]
    return [(finding["id"], node["target"], node["failureSummary"]) for finding in found for node in finding["nodes"]
            if finding["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(server, open_page, scheme, locale, width):
    page = open_page(server, color_scheme=scheme, locale=locale, viewport={"width": width, "height": 844},
                     reduced_motion="reduce")
    assert serious(page) == []
    page.locator("#settings-box").evaluate("box => { box.open = true; }")
    write(page, max_tokens=12, temperature=1.8, top_p=1)
    page.locator(".token").nth(1).click()
    expect(page.locator("#choices")).to_be_visible()
    assert serious(page) == []
    page.keyboard.press("Escape")
    write(page, n=2)
    assert serious(page) == []
    page.fill("#text", "")
    page.click("#go")
    assert serious(page) == []


@pytest.mark.parametrize("width", [1280, 768, 390, 320])
def test_nothing_is_wider_than_the_window(server, open_page, width):
    page = open_page(server, viewport={"width": width, "height": 800})
    page.locator("#settings-box").evaluate("box => { box.open = true; }")
    write(page, "《春晓》" + "x" * 80, n=2, max_tokens=8)
    page.locator(".token").last.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_answer_takes_one_stop_of_the_tab_key(server, open_page):
    page = open_page(server)
    write(page, max_tokens=8)
    assert page.locator(".token[tabindex='0']").count() == 1
    page.focus("#text")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.bar-actions') !== null")


def test_a_screen_reader_hears_what_is_written_and_how_it_ended(server, open_page):
    page = open_page(server)
    assert page.get_attribute("#spoken", "aria-live") == "polite"
    write(page, max_tokens=4, decoding="greedy")
    expect(page.locator("#spoken")).to_contain_text("tokens")
    for control in page.locator("button:visible, input:visible, textarea:visible, select:visible").all():
        name = control.evaluate("""e => e.ariaLabel || e.labels?.[0]?.textContent || e.textContent""")
        assert name.strip() != ""


def test_axe_finds_what_is_wrong(server, open_page):
    page = open_page(server)
    page.evaluate("document.body.append(document.createElement('button'))")
    assert [name for name, _, _ in serious(page)] == ["button-name"]
