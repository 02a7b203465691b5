"""The documents' site: its pages are whole, its links lead somewhere, and its index of errors has every message."""

import html.parser
import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

import maas
from maas.errors import InputError, MaasError
from maas.runtime.processors.array import ArrayProcessor

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SITE = DOCS / "site"
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *sorted(DOCS.rglob("*.md"))]
TRANSLATED = sorted(DOCS.rglob("*.zh.md"))
MADE = ("errors/", "reference/")
"""Folders of pages that are made of the source when the site is built."""
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def site_modules() -> Iterator[dict[str, ModuleType]]:
    """The modules that make pages, by name."""
    names = ("messages", "error_pages", "part_pages", "python_pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SITE))
        yield {name: importlib.import_module(name) for name in names}
        for name in names:
            patch.delitem(sys.modules, name)


def test_every_message_has_a_remedy_of_its_own_or_of_its_group(site_modules):
    group_of = site_modules["error_pages"].group_of
    found = site_modules["messages"].messages()
    homeless = [one for one in found if group_of(one.file) is None]
    assert not homeless, f"docs/site/remedies.yaml has no group for {homeless}"
    assert all(one.remedy or group_of(one.file).remedy.endswith(".") for one in found)
    assert len(found) > 900


def test_every_group_has_messages_when_remedies_are_listed(site_modules):
    groups, group_of = site_modules["error_pages"].groups(), site_modules["error_pages"].group_of
    used = {group_of(one.file) for one in site_modules["messages"].messages()}
    assert {one.title for one in groups} == {one.title for one in used}
    places = [place for one in groups for place in one.where]
    assert not [place for place in places if not list((ROOT / "maas").glob(f"{place}*"))]


def raised() -> Iterator[str]:
    """Yields what maas says about a few mistakes, made here."""
    mistakes = [
        lambda: maas.compose("no_such_recipe"),
        lambda: maas.compose("digits_mlp", "batch_size=0"),
        lambda: maas.compose("digits_mlp", "model.hiden=[3]"),
        lambda: maas.compose("digits_mlp", "folds=1"),
        lambda: maas.load("no/such/folder"),
        lambda: ArrayProcessor(shape=[2]).preprocess([[1.0, float("nan")]]),
        lambda: maas.fit("no_such_file.csv", "x"),
    ]
    for mistake in mistakes:
        with pytest.raises(MaasError) as found:
            mistake()
        yield str(found.value)


def test_messages_that_are_raised_are_in_the_index(site_modules):
    templates = [one.text for one in site_modules["messages"].messages()]
    patterns = [re.compile(re.sub("⟨[^⟩]*⟩", ".*", re.escape(one)), re.DOTALL) for one in templates]
    for said in raised():
        assert any(pattern.match(said) for pattern in patterns), said


def test_index_has_each_error_and_each_message_when_its_pages_are_made(site_modules):
    messages = site_modules["messages"]
    pages = site_modules["error_pages"].error_pages(messages.described_errors())
    assert f"`{InputError.__name__}`" in pages["errors/index.md"]
    entries = sum(page.count("<dt>") for page in pages.values())
    assert entries == len(
        {(one.text, one.error, site_modules["error_pages"].group_of(one.file)) for one in messages.messages()}
    )


def test_reference_has_each_part_and_each_public_name(site_modules):
    pages = site_modules["part_pages"].part_pages()
    for part in (ROOT / "conf").glob("*/*.yaml"):
        if part.parent.name != "hydra":
            assert f"## `{part.stem}`" in pages[f"reference/parts/{part.parent.name}.md"]
    described = "".join(site_modules["python_pages"].python_pages().values())
    named = {*maas.__all__} - {"lifecycle", "RunConfig"}
    assert not [name for name in named if not re.search(rf"::: maas[\w.]*\.{name}\n", described)]


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, by the rule of GitHub, which the site follows."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_pages_and_headings(page):
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if parts.path and target.is_relative_to(DOCS) and target.relative_to(DOCS).as_posix().startswith(MADE):
            continue
        assert target.exists(), link
        assert not parts.fragment or unquote(parts.fragment) in anchors(target), link


def code(page: Path) -> list[str]:
    """Returns the blocks of a page that are run, without comments at the ends of lines."""
    found = [block for language, block in FENCE.findall(page.read_text(encoding="utf-8")) if language != "text"]
    return [re.sub(r" +# .*$", "", block, flags=re.MULTILINE) for block in found]


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_translation_has_the_code_of_the_english_page(page):
    english = page.with_name(page.name.replace(".zh.md", ".md"))
    if page.name == "serving.zh.md":  # the main points of a long page
        assert len(code(page)) > 5
    else:
        assert code(page) == code(english)


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_translation_links_to_translations_where_there_are_some(page):
    targets = {urlsplit(link).path for link in LINK.findall(page.read_text(encoding="utf-8"))}
    english = {target for target in targets if target.endswith(".md") and not target.endswith(".zh.md")}
    assert not [one for one in english if (page.parent / one.replace(".md", ".zh.md")).exists()]


class Resources(html.parser.HTMLParser):
    """What a page refers to, and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in ("img", "script", "iframe") and given.get("src"):
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "preconnect", "icon"):
            self.loaded.append(given["href"])


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    pytest.importorskip("mkdocs")
    site = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, str(SITE / "build.py"), str(site)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return site


@pytest.mark.slow
def test_links_of_the_site_lead_somewhere_and_nothing_is_loaded_from_elsewhere(built):
    pages: dict[Path, Resources] = {}
    for page in built.rglob("*.html"):
        pages[page] = Resources()
        pages[page].feed(page.read_text(encoding="utf-8"))
    assert len(pages) > 100
    for page, found in pages.items():
        assert not [one for one in found.loaded if urlsplit(one).netloc], page
        for link in (*found.links, *found.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or page.name == "404.html":
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path not in ("", ".") else page
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{page}: {link}"
            fragment = unquote(parts.fragment)
            assert not fragment or target.suffix != ".html" or fragment in pages[target].ids, f"{page}: {link}"


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.browser
def test_pages_fit_the_screen_when_a_browser_shows_them(built, width, monkeypatch):
    """No page is wider than the screen; what is wide scrolls by itself."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromedriver are not installed: make system")
    monkeypatch.syspath_prepend(str(DOCS))
    with importlib.import_module("make_page_picture").chromium() as driver:
        screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 800}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        for name in (
            "index",
            "tutorials/table",
            "errors/data",
            "reference/fitting",
            "reference/parts/model",
            "zh/serving",
        ):
            driver.get((built / f"{name}.html").as_uri())
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width, name
            assert driver.title
