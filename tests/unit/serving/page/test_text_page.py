"""The page of a model that generates, in a real browser: the text grows, can be stopped, and is the bundle's."""

import contextlib
import http.client
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import maas
from tests.unit.serving.page.test_page import DESK, PHONE, Visitor

pytestmark = pytest.mark.browser
PROMPT = "这是 🙂 the model"
MESSAGES = [{"role": "user", "content": PROMPT}]
SHOWN = "return document.querySelector('.written')?.textContent"


@pytest.fixture(scope="module")
def folder(bundles, tmp_path_factory):
    return bundles.generating_bundle(tmp_path_factory.mktemp("texts") / "bundle", positions=512)


@pytest.fixture(scope="module")
def text_server(start, folder, array_folder):
    with start(f"model={folder}", f"model={array_folder}") as server:
        yield server


@pytest.fixture(scope="module")
def bundle(folder):
    return maas.Bundle.open(folder)


@pytest.fixture
def visitor(driver) -> Visitor:
    return Visitor(driver)


@pytest.fixture(scope="module")
def slow(text_server) -> Iterator[str]:
    """The server's address behind a proxy that passes an event on each twentieth of a second."""

    class Proxy(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", text_server.port)) as connection:
                connection.request(self.command, self.path, body, {"content-type": "application/json"})
                reply = connection.getresponse()
                self.send_response(reply.status)
                self.send_header("content-type", reply.headers["content-type"])
                self.end_headers()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    for line in reply:
                        self.wfile.write(line)
                        time.sleep(0.05 if line.startswith(b"data:") else 0)

        do_GET = do_POST = forward  # noqa: N815  http.server calls them so

        def log_message(self, *_: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{proxy.server_port}"
    proxy.shutdown()
    thread.join()
    proxy.server_close()


def set_up(visitor: Visitor, url: str, *, tokens: int, temperature: float = 0, language: str = "en-US") -> None:
    visitor.open(url, "tiny", language=language)
    visitor.type("#input-prompt", PROMPT)
    visitor.type("#setting-tokens", str(tokens))
    visitor.type("#setting-temperature", str(temperature))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_the_bundles_when_a_prompt_is_given(visitor, text_server, bundle, scheme):
    set_up(visitor, text_server.url, tokens=40)
    visitor.find("#predict").click()
    visitor.until("return document.getElementById('source').textContent !== ''")
    expected = bundle.generate(MESSAGES, max_tokens=40)
    assert visitor.driver.execute_script(SHOWN) == expected.text
    source = visitor.find("#source").text
    assert re.fullmatch(rf"tiny, version 1, {len(expected.tokens)} tokens in [\d.]+ ms", source)
    assert visitor.find("#predict").text == "Generate"
    assert not visitor.find("#stop").is_displayed()
    assert visitor.find("#why").is_displayed()
    assert visitor.nameless == []
    for size in (DESK, PHONE):
        visitor.show(size, scheme)
        assert visitor.overflow <= 0
    assert visitor.complaints() == []


def test_text_grows_and_stays_as_it_is_when_it_is_stopped(visitor, slow, text_server, bundle):
    set_up(visitor, slow, tokens=400)
    visitor.find("#predict").click()
    lengths = set()
    for _ in range(3):
        visitor.until(f"return ({SHOWN.removeprefix('return ')} ?? '').length > {max(lengths, default=0)}")
        lengths.add(len(visitor.driver.execute_script(SHOWN)))
    assert visitor.find("#predict").text == "Generating…"
    visitor.find("#stop").click()
    visitor.until("return document.getElementById('stop').hidden")
    stopped = visitor.driver.execute_script(SHOWN)
    assert bundle.generate(MESSAGES, max_tokens=400).text.startswith(stopped)
    assert visitor.find("#predict").text == "Generate"
    assert not visitor.find("#error").is_displayed()
    deadline = time.monotonic() + 10
    while text_server.metric('maas_running_texts{model="tiny",version="1"}'):
        assert time.monotonic() < deadline
    assert visitor.driver.execute_script(SHOWN) == stopped


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("#input-prompt", "", "There is no prompt. Type one, or take an example."),
        ("#setting-temperature", "3", "Temperature is a number from 0 to 2."),
        ("#setting-tokens", "0", "Most new tokens is a number from 1 to 100000."),
        ("#setting-tokens", "5000", "at most 512, the model's context"),
    ],
)
def test_fault_is_said_in_one_line_when_the_form_or_the_server_refuses(visitor, text_server, field, value, message):
    set_up(visitor, text_server.url, tokens=10)
    visitor.type(field, value)
    visitor.find("#predict").click()
    visitor.until("return !document.getElementById('error').hidden")
    assert message in visitor.find("#error").text
    assert not visitor.find("#stop").is_displayed()


def test_form_changes_with_the_kind_of_model(visitor, text_server):
    set_up(visitor, text_server.url, tokens=10)
    visitor.choose("model", "digits")
    visitor.until("return document.querySelector('.board') !== null")
    assert (visitor.find("#predict").text, visitor.find("#result-title").text) == ("Predict", "Prediction")
    visitor.predict()
    visitor.choose("model", "tiny")
    visitor.until("return document.getElementById('input-prompt') !== null")
    assert visitor.find("#input-prompt").get_attribute("value") == "What is the capital of France?"


def test_page_of_texts_speaks_chinese_when_the_browser_does(visitor, text_server):
    set_up(visitor, text_server.url, tokens=5, language="zh-CN")
    assert [visitor.find(one).text for one in ("#predict", "#task")] == ["生成", "文本生成"]
    visitor.find("#predict").click()
    visitor.until("return document.getElementById('source').textContent.includes('个词元')")


def test_documentation_of_the_model_generates_a_text(visitor, text_server, bundle):
    visitor.driver.get(f"{text_server.url}/docs?model=tiny")
    visitor.find("button.main").click()
    visitor.until("return document.querySelector('#answer pre') !== null")
    shown = visitor.find("main").text
    assert "at most 512 tokens with the new ones" in shown
    assert "/v1/chat/completions?model=tiny&version=1" in shown
    assert "/v2/models/tiny/generate_stream" in shown
    assert visitor.complaints() == []
