"""Servers that several rooms of tests need: real ones, and ones of scripted replies."""

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def serving_bundles() -> ModuleType:
    spec = importlib.util.spec_from_file_location("serving_bundles", ROOT / "tests/unit/serving/bundles.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[str]:
    """Yields the URL of `python -m maas.serve` on a free port."""
    command = [sys.executable, "-m", "maas.serve", "port=0", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            line = process.stdout.readline()
            if not line:
                raise AssertionError(process.stderr.read())
            yield re.search(r"http://\S+?:\d+", line)[0]
        finally:
            process.kill()


@pytest.fixture(scope="session")
def start() -> Callable[..., contextlib.AbstractContextManager[str]]:
    return running


class Scripted(NamedTuple):
    """A server that answers by a script, and what it was sent: paths and bodies."""

    url: str
    seen: list[tuple[str, bytes]]


@contextlib.contextmanager
def scripted_server(respond: Callable[[BaseHTTPRequestHandler, int, bytes], None]) -> Iterator[Scripted]:
    """Serves; `respond` is given the handler, the number of the request and its body."""
    seen: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            seen.append((self.path, body))
            respond(self, len(seen) - 1, body)

        do_GET = do_POST = handle_one  # noqa: N815  the base class's names

        def log_message(self, *_: object) -> None:
            """Stays silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Scripted(f"http://127.0.0.1:{server.server_port}", seen)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sent(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """Sends a reply."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture(scope="session")
def scripted() -> Callable[..., contextlib.AbstractContextManager[Scripted]]:
    return scripted_server


@pytest.fixture(scope="session")
def reply() -> Callable[..., None]:
    return sent


@pytest.fixture(scope="session")
def tiny_llama() -> ModuleType:
    """`tests/unit/tiny_llama.py`."""
    spec = importlib.util.spec_from_file_location("tiny_llama", ROOT / "tests/unit/tiny_llama.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def llama_folder(tiny_llama, tmp_path_factory) -> Path:
    """A tiny decoder as a folder of Hugging Face."""
    return tiny_llama.save(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def llama(llama_folder) -> Any:
    """The same, opened."""
    from maas.importing.decoders.pretrained import PretrainedDecoder

    return PretrainedDecoder.open(str(llama_folder))


def generator_over(llama: Any, folder: Path) -> Any:
    """Returns a generator over the graph of a decoder, which writes four texts at a time."""
    from maas.onnx_graphs.decoder import decoder_graph, state_of
    from maas.onnx_graphs.files import write_graph
    from maas.records.manifest import Generation
    from maas.runtime.generation.generator import TextGenerator

    files = llama.text_files
    write_graph(decoder_graph(llama.config, llama.weights, opset=20), folder / "model.onnx")
    (folder / "tokenizer.json").write_text(files.tokenizer, encoding="utf-8")
    (folder / "template").write_text(files.chat_template, encoding="utf-8")
    generation = Generation(
        llama.config.context_length, files.end_tokens, "tokenizer.json", "template", files.special_tokens
    )
    return TextGenerator(folder / "model.onnx", state_of(llama.config), generation, folder, batch_size=4)


@pytest.fixture(scope="session")
def generator(llama, tmp_path_factory) -> Any:
    """A generator over its graph."""
    return generator_over(llama, tmp_path_factory.mktemp("generator"))


@pytest.fixture(scope="session")
def eight_bit_generator(llama, tmp_path_factory) -> Any:
    """The same with weights of 8 bits, whose products round the other factor."""
    from maas.compression.passes.base import Calibration
    from maas.compression.passes.quantize_blocks import QuantizeBlocks
    from maas.runtime.generation.decoder import Decoder

    folder = tmp_path_factory.mktemp("eight_bits")
    generator = generator_over(llama, folder)
    QuantizeBlocks().apply(folder / "model.onnx", folder / "small.onnx", Calibration(lambda _: iter(()), 0))
    generator.decoder = Decoder(folder / "small.onnx", generator.decoder.state)
    return generator


class Failing(NamedTuple):
    """A decoder with a token whose vector is not a number, and the same one whole.

    Args:
        decoder: opened by transformers; no text of `tiny_llama.PROMPTS` but one holds the token.
        generator: over its graph.
        whole: generator over the graph of the whole one.
        prompt: prompt of the text that holds it.
        tokens: number of that text's tokens up to it.
    """

    decoder: Any
    generator: Any
    whole: Any
    prompt: str
    tokens: int


FAILING_TOKENS = 24


@pytest.fixture(scope="session")
def failing(tiny_llama, tmp_path_factory) -> Failing:
    """A decoder that gives no finite logits once a text holds a certain token."""
    import torch

    from maas.importing.decoders.pretrained import PretrainedDecoder
    from maas.runtime.generation.settings import generation_settings

    folder = tiny_llama.save(tmp_path_factory.mktemp("failing"), tie_word_embeddings=False)
    decoder = PretrainedDecoder.open(str(folder))
    whole = generator_over(decoder, tmp_path_factory.mktemp("whole"))
    settings = generation_settings({"max_tokens": FAILING_TOKENS, "ignore_end": True})
    texts = [one.tokens for one in whole.generate(tiny_llama.PROMPTS, settings)]
    read = [[*whole.encode(prompt), *tokens] for prompt, tokens in zip(tiny_llama.PROMPTS, texts, strict=True)]
    index, token = next(
        (index, token)
        for index, tokens in enumerate(texts)
        for token in tokens[8:-1]
        if sum(token in one for one in read) == 1 and token not in whole.encode(tiny_llama.PROMPTS[index])
    )
    with torch.no_grad():
        decoder.model.model.embed_tokens.weight[token] = torch.nan
    generator = generator_over(decoder, tmp_path_factory.mktemp("broken"))
    return Failing(decoder, generator, whole, tiny_llama.PROMPTS[index], texts[index].index(token) + 1)


@pytest.fixture(scope="session")
def bundle_of_llama(llama, lineage, tmp_path_factory) -> Any:
    """The bundle that it becomes, without evidence."""
    from maas.exporting.generation_bundling import build_generation_bundle
    from maas.records.manifest import ServingSettings

    return build_generation_bundle(
        tmp_path_factory.mktemp("bundle_of_llama"), model=llama, name="tiny", serving=ServingSettings(batch_size=4),
        lineage=lineage, golden_prompts=["the", "a longer prompt", "这是"], opset=20,
    )  # fmt: skip


@pytest.fixture(scope="module")
def few_steps() -> Iterator[None]:
    """Times steps in few turns, where a module's tests look at texts and not at times."""
    from maas.compression import text_evaluator

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_evaluator, "ROUNDS", 3)
        patch.setattr(text_evaluator, "GRID_ROUNDS", 2)
        yield


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """A headless Chromium."""
    browser, chromedriver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if browser is None or chromedriver is None:
        pytest.skip("chromium and chromedriver are not installed: make system")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
    yield driver
    driver.quit()
