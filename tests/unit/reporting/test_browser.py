"""The page in a real browser: wide and narrow, in both languages, light and dark, on paper."""

import base64

import pytest

from maas.reporting.findings import ReportSettings, findings_of
from maas.reporting.page import report_page
from maas.reporting.subject import reported_model
from tests.unit.reporting.conftest import with_evidence

pytestmark = pytest.mark.browser
DESK, PHONE = (1280, 900), (390, 800)


@pytest.fixture(scope="module")
def page(bundles, held_out, tmp_path_factory) -> str:
    """Address of a page with long labels, in both languages."""
    folder = tmp_path_factory.mktemp("page")
    bundle = with_evidence(bundles.array_bundle(folder / "digits"))
    found = findings_of(reported_model(bundle, str(bundle.folder)), held_out(bundle), ReportSettings(examples=3))
    (folder / "page.html").write_text(report_page(found), encoding="utf-8")
    return (folder / "page.html").as_uri()


@pytest.fixture
def opened(driver, page):
    """Opens the page on a screen of a size, for a reader of a language."""

    def open_(size=DESK, language="en-US", scheme="light"):
        screen = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        driver.get("about:blank")
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features, "media": ""})
        agent = driver.execute_script("return navigator.userAgent")
        override = {"userAgent": agent, "acceptLanguage": language}
        driver.execute_cdp_cmd("Emulation.setUserAgentOverride", override)
        driver.get_log("browser")
        driver.get(page)
        return driver

    return open_


@pytest.mark.parametrize("size", [DESK, PHONE])
@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_nothing_runs_off_the_screen_when_it_is_wide_or_narrow(opened, size, language):
    driver = opened(size, language)
    assert driver.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert not [entry["message"] for entry in driver.get_log("browser")]


def test_language_is_the_readers_when_the_page_opens_and_another_when_it_is_switched(opened):
    driver = opened(language="zh-CN")
    heading = "return document.querySelector('#metrics h2').innerText"
    label = "return document.querySelector('#metrics .label, #robustness .label').textContent"
    assert driver.execute_script(heading) == "效果"
    assert driver.execute_script("return document.documentElement.lang") == "zh-Hans"
    driver.find_element("css selector", "label[for=show-en]").click()
    assert driver.execute_script(heading) == "How good it is"
    assert driver.execute_script("return document.documentElement.lang") == "en"
    assert driver.execute_script(label)
    hidden = "return [...document.querySelectorAll('.zh')].filter((one) => one.getClientRects().length).length"
    assert driver.execute_script(hidden) == 0


def test_ink_stands_out_from_the_ground_when_it_is_dark(opened):
    script = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor].map(\
        (one) => one.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0))"
    ink, ground = opened(scheme="dark").execute_script(script)
    assert (ink > 500, ground < 200) == (True, True)
    ink, ground = opened(scheme="light").execute_script(script)
    assert (ground > 600, ink < 200) == (True, True)


def test_everything_is_printed_when_paper_is_chosen(opened):
    printed = opened(scheme="dark").execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    content = base64.b64decode(printed["data"])
    assert content.startswith(b"%PDF")
    assert 20_000 < len(content) < 3_000_000
