"""The page's files, without a server."""
import re
from urllib.parse import urljoin

from fake_server import PAGE, files

FILES, POLICY = files()


def test_every_file_is_in_the_table_once():
    on_disk = {path.name for path in (PAGE / "page").iterdir()}
    listed = [re.sub("^/$", "/index.html", path)[1:] for path in FILES]
    assert sorted(listed) == sorted(on_disk)


def test_files_name_only_each_other_wherever_the_page_lies():
    for path, (kind, content) in FILES.items():
        text = content.decode()
        named = re.findall(r"""(?:from|src=|href=|import)\s*\(?["']([^"'#]+)["']""", text)
        assert [name for name in named if urljoin("/", name) not in FILES or name.startswith("/")] == [], path


def test_the_policy_allows_no_unsafe_thing_and_nothing_from_outside():
    sources = {source for part in POLICY.split(";") for source in part.split()[1:]}
    assert sources == {"'none'", "'self'"}
    assert "default-src 'none'" in POLICY


def test_no_script_style_or_handler_stands_in_the_document():
    document = FILES["/"][1].decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=", document)
    assert re.findall(r"<script[^>]*>(.*?)</script>", document, re.S) == [""]


def test_both_languages_have_every_word(fake, open_page):
    page = open_page(fake)
    languages = page.evaluate("""async () => {
        const { languages } = await import("/words.js");
        return Object.values(languages).map(words => Object.entries(words).map(([name, word]) => [name, typeof word]));
    }""")
    english, chinese = map(dict, languages)
    assert english == chinese
    used = set()
    for _, (_, content) in FILES.items():
        text = content.decode()
        used |= set(re.findall(r"""say\("(\w+)\"""", text))
        used |= set(re.findall(r"""(?:data-(?:word|label|hint|title)=|"data-(?:word|hint)": )"(\w+)\"""", text))
    assert used - set(english) == set()
