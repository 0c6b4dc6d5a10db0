"""Takes the README's two pictures of the page: python3 pictures.py URL FOLDER, of a server that runs."""
import os
import sys

from playwright.sync_api import sync_playwright

TEXT = "《秋夜》李白\n"
# A choice that is worth a look.
SETTINGS = "/#settings&temperature=0.8&max_tokens=40&seed=2"


def main(url, folder):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"])
        desk = browser.new_page(locale="en", viewport={"width": 1180, "height": 700})
        write(desk, url)
        desk.locator(".token").nth(3).hover()
        desk.wait_for_selector("#choices:not([hidden])")
        desk.screenshot(path=f"{folder}/page-desk.png")
        desk.close()
        phone = browser.new_page(locale="zh-CN", color_scheme="dark", viewport={"width": 400, "height": 800},
                                 device_scale_factor=1.5)
        write(phone, url)
        phone.screenshot(path=f"{folder}/page-phone.png")
        browser.close()


def write(page, url):
    """Until some tokens are there, and the sweep is half done."""
    page.goto(url + SETTINGS)
    page.wait_for_selector("#cells .cell")
    page.fill("#text", TEXT)
    page.click("#go")
    page.locator(".token").nth(15).wait_for(timeout=300_000)
    half = page.locator("#cells .cell").count() // 2
    page.locator(f"#cells .column:nth-child({half // 2}) .cell.done").first.wait_for(timeout=60_000)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
