"""The page in a real browser: what a person sees is what the bundle predicts."""

import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import maas
from tests.unit.serving.page.conftest import KINDS

pytestmark = pytest.mark.browser
DESK, PHONE = (1280, 900), (390, 800)
TEXT = "质量太差了 🙃 not good"


class Visitor:
    """What a person does with the page, and sees of it."""

    def __init__(self, driver) -> None:
        self.driver = driver

    def open(self, url: str, model: str, *, language: str = "en-US", scheme: str = "light") -> None:
        agent = self.driver.execute_script("return navigator.userAgent")
        override = {"userAgent": agent, "acceptLanguage": language}
        self.driver.get("about:blank")
        self.show(DESK, scheme)
        self.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", override)
        self.driver.get_log("browser")
        self.driver.get(f"{url}/?model={model}")
        self.until(f"return document.getElementById('title').textContent === {model!r}")

    def until(self, script: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 30, poll_frequency=0.02).until(lambda driver: driver.execute_script(script))

    def find(self, selector: str):
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)"
        return self.driver.execute_script(script, selector)

    def type(self, selector: str, text: str) -> None:
        """Chromedriver types no emoji, so the value is set as typing would."""
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
        self.driver.execute_script(script, self.find(selector), text)

    def choose(self, name: str, value: str) -> None:
        self.find(f"#{name} option[value='{value}']").click()

    def predict(self) -> None:
        self.find("#predict").click()
        self.until("return !document.getElementById('result').hidden")

    def explain(self) -> None:
        self.find("#explain").click()
        self.until("return document.querySelector('#explanation div') !== null")

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def show(self, size: tuple[int, int], scheme: str = "light") -> None:
        """Sets the size of the screen in pixels, and whether it is light or dark."""
        width, height = size
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        preferred = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": preferred})

    @property
    def overflow(self) -> int:
        return self.driver.execute_script("return document.documentElement.scrollWidth - innerWidth")

    @property
    def nameless(self) -> list[str]:
        """Controls and pictures that have no name for those who do not see them."""
        return self.driver.execute_script("""
            return [...document.querySelectorAll('input, select, textarea, button, a, svg, img, canvas')]
              .filter((one) => !one.closest('[hidden]') && !(one.labels?.length || one.textContent.trim()
                || one.alt === '' || one.getAttribute('aria-label'))).map((one) => one.outerHTML)""")


@pytest.fixture
def visitor(driver) -> Visitor:
    return Visitor(driver)


@contextlib.contextmanager
def file_of(kind: str, folder: Path) -> Iterator[Path]:
    path = folder / ("picture.png" if kind == "image" else "sound.wav")
    random = np.random.default_rng(5)
    if kind == "image":
        Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(path)
    else:
        samples = random.uniform(-0.1, 0.2, 4000).astype(np.float32)
        levels = np.repeat(np.float32([0.3, -0.3, 0.3, 0.0, 0.3]), 800)  # a voice of letters
        soundfile.write(path, samples if kind == "audio" else levels, 8000)
    yield path


def filled_in(visitor: Visitor, kind: str, bundle: maas.Bundle, folder: Path) -> object:
    """Gives the page an input of a model, and returns it as the bundle takes it."""
    if kind in ("image", "audio", "speech"):
        with file_of(kind, folder) as path:
            visitor.find("input[type=file]").send_keys(str(path))
        visitor.until("return !document.querySelector('.preview').hidden")
        return path
    if kind in ("text", "embedding"):
        visitor.type("textarea", TEXT)
        return TEXT
    if kind == "table":
        visitor.type("#column-price", "2.5")
        visitor.type("#column-area", "")
        visitor.type("#column-size", "L")
        return {"price": 2.5, "area": None, "size": "L"}
    if kind == "combined":
        visitor.type("textarea", TEXT)
        visitor.type("#column-price", "3")
        visitor.type("#column-size", "")
        return {"review": TEXT, "price": 3.0, "size": None}
    return bundle.golden.inputs[0]


def seen_fractions(visitor: Visitor) -> dict[str, float]:
    percents = [float(text.removesuffix(" %")) / 100 for text in visitor.texts(".bars .percent")]
    return dict(zip(visitor.texts(".bars .name"), percents, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_prediction_and_explanation_are_the_bundles_when_an_input_is_given(visitor, server, bundle_of, tmp_path, kind):
    bundle = bundle_of[kind]
    visitor.open(server.url, KINDS[kind])
    row = filled_in(visitor, kind, bundle, tmp_path)
    visitor.predict()
    (prediction,) = bundle.predict([row])
    answer = visitor.find(".answer strong").text
    if "label" in prediction:
        assert answer == prediction["label"]
        scores = dict(zip(bundle.predictor.postprocessor.labels, bundle.predictor.scores([row])[0], strict=True))
        found = seen_fractions(visitor)
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert found == pytest.approx(scores, abs=6e-4)
    elif "text" in prediction:
        assert answer == prediction["text"] != ""
    elif "value" in prediction:
        assert float(answer) == pytest.approx(prediction["value"], rel=1e-3)
    else:
        assert answer.startswith(f"{len(prediction['embedding'])} numbers, length 1")
    assert re.fullmatch(rf"{KINDS[kind]}, version 1, in [\d.]+ ms", visitor.find("#source").text)
    visitor.explain()
    strongest = [float(text.replace("−", "-")) for text in visitor.texts(".parts li:not(.soft) .number")]
    expected = maas.explain(bundle, row).attributions
    nearest = [float(expected[np.abs(expected - one).argmin()]) for one in strongest]
    assert strongest == pytest.approx(nearest, abs=0.006)
    assert max(map(abs, strongest)) == pytest.approx(np.abs(expected).max(), abs=0.006)
    assert visitor.nameless == []
    visitor.show(PHONE, "dark")
    assert visitor.overflow <= 0
    assert visitor.complaints() == []


def test_text_is_marked_where_the_explanation_lies(visitor, server, bundle_of):
    visitor.open(server.url, "sentiment")
    visitor.type("textarea", TEXT)
    visitor.predict()
    visitor.explain()
    assert visitor.find(".words").get_attribute("textContent") == TEXT
    parts = maas.explain(bundle_of["text"], TEXT).parts
    assert visitor.texts(".words span") == [TEXT[slice(*part.place)] for part in parts]


def test_another_label_is_explained_when_it_is_chosen(visitor, server):
    visitor.open(server.url, "sentiment")
    visitor.predict()
    visitor.explain()
    first = visitor.texts("#explanation p")[0]
    other = next(label for label in visitor.texts("#label option") if label not in first)
    visitor.choose("label", other)
    visitor.until(f"return document.getElementById('explanation').textContent.includes('of {other}')")


def test_documentation_works_when_a_proxy_adds_a_path_prefix(visitor, prefixed, bundle_of):
    visitor.driver.get(f"{prefixed}/docs?model=sentiment")
    visitor.find("button.main").click()
    visitor.until("return document.querySelector('#answer .label') !== null")
    example = bundle_of["text"].golden.inputs[:1]
    assert visitor.find("#answer .label").text == bundle_of["text"].predict(example)[0]["label"]
    assert f"curl -s '{prefixed}/v1/text-classification?model=sentiment" in visitor.find("main").text
    assert visitor.find("footer a").get_attribute("href") == f"{prefixed}/"


def test_version_that_is_chosen_predicts(visitor, server):
    visitor.open(server.url, "sentiment")
    assert visitor.texts("#version option") == ["1", "2 (next)"]
    visitor.choose("version", "2")
    visitor.until("return location.search.includes('version=2')")
    visitor.predict()
    assert visitor.find("#source").text.startswith("sentiment, version 2, in ")


def test_form_changes_when_another_model_is_chosen(visitor, server):
    visitor.open(server.url, "sentiment")
    visitor.predict()
    visitor.choose("model", "sums")
    visitor.until("return document.getElementById('column-price') !== null")
    assert visitor.find("#title").text == "sums"
    assert not visitor.find("#result").is_displayed()


def test_servers_own_line_is_shown_when_an_input_is_refused(visitor, server):
    visitor.open(server.url, "sentiment")
    visitor.type("textarea", " ")
    visitor.find("#predict").click()
    visitor.until("return !document.getElementById('error').hidden")
    refused = server.client.post("/v1/text-classification", json={"text": " "}).json()["error"]
    assert visitor.find("#error").text == refused
    assert visitor.find("#error").get_attribute("role") == "alert"


def test_form_says_what_is_wrong_before_it_asks(visitor, server):
    visitor.open(server.url, "sums")
    visitor.type("#column-price", "cheap")
    visitor.find("#predict").click()
    visitor.until("return !document.getElementById('error').hidden")
    assert visitor.find("#error").text == "price is no number."


def test_everything_works_when_a_proxy_adds_a_path_prefix(visitor, prefixed, bundle_of, tmp_path):
    visitor.open(prefixed, "shades")
    row = filled_in(visitor, "image", bundle_of["image"], tmp_path)
    visitor.predict()
    assert visitor.find(".answer strong").text == bundle_of["image"].predict([row])[0]["label"]
    visitor.explain()
    assert visitor.complaints() == []
    sources = visitor.driver.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert len(sources) > 5
    assert [source for source in sources if not source.startswith((f"{prefixed}/", "data:", "blob:"))] == []
    assert visitor.find("footer a").get_attribute("href") == f"{prefixed}/docs"


def test_page_speaks_chinese_when_the_browser_does(visitor, server):
    visitor.open(server.url, "sentiment", language="zh-CN")
    assert visitor.find("#predict").text == "预测"
    assert visitor.find("#task").text == "文本分类"
    assert visitor.driver.execute_script("return document.documentElement.lang") == "zh-CN"


def test_page_is_used_without_a_mouse(visitor, server):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    visitor.open(server.url, "sentiment")
    press = lambda *keys: ActionChains(visitor.driver).send_keys(*keys).perform()  # noqa: E731

    def reach(name: str) -> None:
        for _ in range(12):
            if visitor.driver.switch_to.active_element.get_attribute("id") == name:
                return
            press(Keys.TAB)
        raise AssertionError(name)

    reach("input-text")
    press(Keys.END, " good")
    reach("predict")
    press(Keys.ENTER)
    visitor.until("return !document.getElementById('result').hidden")
    reach("explain")
    press(Keys.SPACE)
    visitor.until("return document.querySelector('#explanation div') !== null")
    assert visitor.find(".words").get_attribute("textContent").endswith(" good")


def contrast(one: list[float], other: list[float]) -> float:
    """WCAG 2.2, relative luminance."""

    def luminance(colour: list[float]) -> float:
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in colour]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(visitor, server, scheme):
    visitor.open(server.url, "sentiment", scheme=scheme)
    colour = "getComputedStyle(document.documentElement).getPropertyValue(arguments[0])"
    names = ("--ink", "--soft", "--accent", "--bad", "--accent-ink", "--card", "--ground", "--bad-pale", "--field")
    found = {name: visitor.driver.execute_script(f"return {colour}", name).strip().lstrip("#") for name in names}
    value = {name: [int(text[at : at + 2], 16) / 255 for at in (0, 2, 4)] for name, text in found.items()}
    grounds = {"--ink": ("--card", "--ground", "--field"), "--soft": ("--card", "--ground", "--field")}
    grounds |= {"--accent": ("--card", "--ground"), "--bad": ("--bad-pale",), "--accent-ink": ("--accent",)}
    for name, below in grounds.items():
        for ground in below:
            assert contrast(value[name], value[ground]) >= 4.5, (name, ground)


def test_picture_that_is_dropped_is_predicted(visitor, server, bundle_of, tmp_path):
    visitor.open(server.url, "shades")
    file = io.BytesIO()
    Image.new("RGB", (5, 5), "white").save(file, "PNG")
    visitor.driver.execute_script(
        """
        const bytes = new Uint8Array(arguments[0]);
        const data = new DataTransfer();
        data.items.add(new File([bytes], "white.png", {type: "image/png"}));
        document.querySelector(".zone").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
        """,
        list(file.getvalue()),
    )
    visitor.predict()
    assert visitor.find(".answer strong").text == bundle_of["image"].predict([file.getvalue()])[0]["label"]
    assert "white.png" in visitor.find(".zone").text


def test_digit_is_drawn_where_numbers_are_a_picture(visitor, server, bundle_of):
    from selenium.webdriver.common.action_chains import ActionChains

    visitor.open(server.url, "digits")
    visitor.find(".drawing button").click()
    assert json.loads(visitor.find("textarea").get_attribute("value")) == [0] * 64
    board = visitor.find(".board")
    side = board.size["width"] / 8
    pen = ActionChains(visitor.driver, duration=20).move_to_element_with_offset(board, -0.5 * side, -0.5 * side)
    pen.click_and_hold().move_by_offset(side, 0).release().perform()
    row = json.loads(visitor.find("textarea").get_attribute("value"))
    assert [at for at, value in enumerate(row) if value == 16] == [27, 28]
    visitor.predict()
    assert visitor.find(".answer strong").text == bundle_of["array"].predict([row])[0]["label"]
    visitor.explain()
    assert len(visitor.driver.find_elements("css selector", ".cells rect")) == 64
