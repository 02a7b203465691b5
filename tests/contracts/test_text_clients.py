"""Clients that were written for OpenAI's server and for Triton get the texts that the bundle generates, unmodified.

Those of OpenAI's protocol have environments of their own, as they want versions of OpenAI's package that exclude one
another.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from maas.runtime.bundle import Bundle

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "clients"
MESSAGES = [{"role": "user", "content": "write"}]
PROMPTS = ["the", "这是 🙂", "a prompt that is somewhat longer", "1 2 3"] * 3
PACKAGES = {
    "openai 2": ("text_openai", ("openai==2.54.0",)),
    "openai 3": ("text_openai", ("openai==3.57.0",)),
    "langchain": ("text_langchain", ("langchain-openai==1.7.4",)),
    "litellm": ("text_litellm", ("litellm==1.106.12", "mcp==2.3.0")),
    "llama-index": ("text_llama_index", ("llama-index-llms-openai-like==0.8.1",)),
}
"""The script of each client, and what it needs."""


@pytest.fixture(scope="module")
def folders(bundles, tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return bundles.embedding_bundle(folder / "vectors"), bundles.generating_bundle(folder / "tiny", positions=512)


@pytest.fixture(scope="module")
def known(folders, tmp_path_factory) -> Path:
    """A file of prompts and of the texts that the bundle generates for them."""
    vectors, bundle = map(Bundle.open, folders)
    texts = [
        bundle.generate(prompt, max_tokens=24, temperature=1.0, seed=seed).text for seed, prompt in enumerate(PROMPTS)
    ]
    content = {
        "messages": MESSAGES,
        "answer": bundle.generate(MESSAGES, max_tokens=24).text,
        "prompts": PROMPTS,
        "continuation": bundle.generate(PROMPTS[0], max_tokens=24).text,
        "texts": texts,
        "vector": vectors.predict(["很好"])[0]["embedding"],
    }
    file = tmp_path_factory.mktemp("known") / "known.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def addresses(folders):
    """The server's URL, and its address for gRPC."""
    command = [sys.executable, "-m", "maas.serve", "port=0", "grpc_port=0", *(f"model={one}" for one in folders)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            lines = [process.stdout.readline() for _ in range(4)]
            yield re.search(r"http://\S+?:\d+", lines[0])[0], re.fullmatch(r"gRPC: (\S+:\d+)\n", lines[3])[1]
        finally:
            process.terminate()


@pytest.mark.parametrize(("script", "transport"), [("triton_streams", 1), ("text_openai", 0)])
def test_client_of_this_environment_gets_the_texts_of_the_bundle(addresses, known, script, transport):
    command = [sys.executable, HERE / f"{script}.py", addresses[transport], known]
    assert subprocess.check_output(command, text=True) == "ok\n"


@pytest.mark.slow
@pytest.mark.parametrize("client", PACKAGES)
def test_client_gets_the_texts_of_the_bundle_when_it_is_unmodified(addresses, known, tmp_path, client):
    script, packages = PACKAGES[client]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([tmp_path / "venv/bin/pip", "install", "--quiet", *packages], check=True)
    command = [tmp_path / "venv/bin/python", HERE / f"{script}.py", addresses[0], known]
    assert subprocess.check_output(command, text=True) == "ok\n"
