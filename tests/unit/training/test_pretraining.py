"""Masked-token pretraining: it learns, reads nothing but the training texts, gives the same bytes however run."""

import dataclasses
import os
import runpy
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from maas.config import compose
from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.models.encoder import TextEncoder
from maas.models.mlp import MLP
from maas.records.evidence import DataRecord
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.text import TextProcessor
from maas.training.fitting import fit_recipe
from maas.training.pretraining import MaskedTokens
from maas.training.recipe import TrainingRecipe

TEXTS = [f"{left}{right}" for left in ("很好的", "太差的", "一般的") for right in ("酒店", "手机", "电影", "早餐")] * 4
SETTINGS = MaskedTokens(epochs=3, lr=3e-3, batch_size=8, mask_fraction=0.3, span=2)


@pytest.fixture(scope="module")
def processor() -> TextProcessor:
    return TextProcessor(vocabulary_size=60, max_tokens=16, pad_multiple=8).fit(TEXTS)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pretraining"


def net(processor: TextProcessor, seed: int = 0, **arguments: object) -> TextEncoder:
    torch.manual_seed(seed)
    small = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32, **arguments}
    return TextEncoder(**processor.net_arguments, outputs=2, **small)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(name == also and torch.equal(tensor, twin) for (name, tensor), (also, twin) in pairs)


def pretrained(processor: TextProcessor, settings: MaskedTokens = SETTINGS, texts: list[str] = TEXTS, seed: int = 0):
    made = net(processor)
    settings.pretrain(made, processor, texts, seed)
    return made


def weights(cache: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(cache.glob("*/weights.safetensors"))]


def test_loss_falls_when_texts_have_a_pattern(processor, cache):
    import msgspec

    made = pretrained(processor, MaskedTokens(epochs=60, lr=1e-2, batch_size=8, mask_fraction=0.2))
    (record,) = [msgspec.json.decode(path.read_bytes()) for path in cache.glob("*/pretraining.json")]
    losses = [epoch["loss"] for epoch in record["epochs"]]
    assert len(losses) == 60
    assert losses[-1] < 0.7 * losses[0]
    assert record["epochs"][-1]["accuracy"] > record["epochs"][0]["accuracy"]
    assert not same(made, net(processor))
    assert torch.equal(made.head.weight, net(processor).head.weight)  # it is for fine-tuning to learn


def test_weights_depend_on_the_seed_alone_when_all_else_is_equal(processor, cache, monkeypatch, tmp_path):
    one = pretrained(processor)
    torch.manual_seed(99)
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "other"))
    assert same(pretrained(processor), one)
    assert weights(cache) == weights(tmp_path / "other" / "pretraining")
    assert not same(pretrained(processor, seed=1), one)


def test_random_state_stays_when_there_is_work_and_when_there_is_none(processor):
    for _ in range(2):
        made = net(processor)
        before = torch.get_rng_state()
        SETTINGS.pretrain(made, processor, TEXTS, 0)
        assert torch.equal(torch.get_rng_state(), before)
        assert made.training


def test_no_step_is_taken_when_the_same_work_is_in_the_cache(processor, monkeypatch, caplog):
    one = pretrained(processor)
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_: pytest.fail("a step was taken"))
    with caplog.at_level("INFO", logger="maas"):
        assert same(pretrained(processor), one)
    assert "pretrain  taken from" in caplog.text


@pytest.mark.parametrize(
    "changed",
    [
        {"settings": dataclasses.replace(SETTINGS, mask_fraction=0.2)},
        {"texts": [*TEXTS[:-1], "很好的早餐店"]},
        {"texts": TEXTS[1:]},
        {"seed": 1},
    ],
)
def test_work_is_done_anew_when_what_it_depends_on_changes(processor, cache, changed):
    pretrained(processor)
    pretrained(processor, **changed)
    assert len(weights(cache)) == 2


@pytest.mark.parametrize("arguments", [{"heads": 4}, {"dropout": 0.3}, {"width": 20}])
def test_work_is_done_anew_when_the_net_is_another(processor, cache, arguments):
    pretrained(processor)
    SETTINGS.pretrain(net(processor, **arguments), processor, TEXTS, 0)
    assert len(weights(cache)) == 2


def test_altered_weights_are_made_anew_when_the_cache_was_touched(processor, cache, caplog):
    one = pretrained(processor)
    (file,) = cache.glob("*/weights.safetensors")
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert same(pretrained(processor), one)
    assert f"{file} was altered; it is made again" in caplog.text


def interrupted(processor: TextProcessor, after: int, monkeypatch) -> None:
    """Stops, as Ctrl-C would, when `after` epochs are kept and the next has begun."""
    from maas.training import token_guessing

    steps, original = [], token_guessing.masked

    def counted(*arguments):
        steps.append(1)
        if len(steps) > after * len(TEXTS) // SETTINGS.batch_size + 2:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(token_guessing, "masked", counted)
        with pytest.raises(KeyboardInterrupt):
            pretrained(processor)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_resumed_work_ends_with_the_same_bytes_when_it_was_interrupted(processor, cache, monkeypatch, tmp_path, after):
    interrupted(processor, after, monkeypatch)
    assert not weights(cache)
    pretrained(processor)
    assert not list(cache.glob("*.state.pt"))
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "other"))
    pretrained(processor)
    assert weights(cache) == weights(tmp_path / "other" / "pretraining")


def test_work_starts_over_when_its_state_is_torn(processor, cache, monkeypatch, caplog):
    interrupted(processor, 1, monkeypatch)
    (state,) = cache.glob("*.state.pt")
    state.write_bytes(state.read_bytes()[:1000])
    torn = pretrained(processor)
    assert f"{state} cannot be read" in caplog.text
    assert "pretraining starts from the beginning" in caplog.text
    monkeypatch.setenv("MAAS_CACHE", str(cache.parent.parent / "other"))
    assert same(pretrained(processor), torn)


KILLED = """
    import sys, torch
    from maas.models.encoder import TextEncoder
    from maas.runtime.processors.text import TextProcessor
    from maas.training.pretraining import MaskedTokens

    texts = [f"{left}{right}" for left in ("很好的", "太差的", "一般的") for right in ("酒店", "手机", "电影")] * 40
    processor = TextProcessor(vocabulary_size=60, max_tokens=16, pad_multiple=8).fit(texts)
    torch.manual_seed(0)
    net = TextEncoder(**processor.net_arguments, outputs=2, width=16, layers=1, heads=2, feed_forward=32)
    MaskedTokens(epochs=12, batch_size=8).pretrain(net, processor, texts, 0)
"""


def test_killed_process_is_gone_on_with_when_it_is_started_again(tmp_path, monkeypatch):
    script = tmp_path / "work.py"
    script.write_text(textwrap.dedent(KILLED))

    def work(cache: str) -> None:
        monkeypatch.setenv("MAAS_CACHE", str(tmp_path / cache))
        runpy.run_path(str(script))

    environment = {"MAAS_CACHE": str(tmp_path / "killed"), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, str(script)], env={**os.environ, **environment}) as process:
        while not list((tmp_path / "killed").rglob("*.state.pt")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    work("killed")
    work("whole")
    assert weights(tmp_path / "killed" / "pretraining") == weights(tmp_path / "whole" / "pretraining") != []


def test_validation_and_test_texts_are_never_read_when_a_recipe_pretrains(tmp_path, monkeypatch):
    """Whatever stands in the other splits, the pretrained weights are the same."""
    seen = []
    monkeypatch.setattr(
        "maas.training.pretraining.MaskedTokens.pretrain", lambda _, net, processor, inputs, seed: seen.append(inputs)
    )
    train, others = Split(TEXTS, np.arange(len(TEXTS)) % 2), Split(["别的文本", "其他"], np.array([0, 1]))
    splits = Splits(train, others, others, ("a", "b"), DataRecord("", {}, {}))
    config = compose("sentiment_zh_bert", "trainer.max_epochs=1", "model.width=8", "model.heads=1", "model.layers=1")
    fit_recipe(TrainingRecipe.of(config), splits, TextProcessor(max_tokens=16).fit(TEXTS), tmp_path)
    assert seen == [TEXTS]


def test_line_is_printed_for_each_epoch_when_nobody_watches(processor, caplog):
    with caplog.at_level("INFO", logger="maas"):
        pretrained(processor)
    lines = [line for line in caplog.messages if line.startswith("pretrain  epoch")]
    assert [line.split("  ")[1] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]


def test_processor_is_refused_when_it_gives_no_tokens():
    with pytest.raises(ConfigError) as caught:
        SETTINGS.pretrain(MLP(4, 2), ArrayProcessor([4]), [[0, 0, 0, 0]], 0)
    assert str(caught.value) == "pretrain is for tokens, and the array processor gives features. Set pretrain=null."


def test_net_is_refused_when_it_has_no_vectors_of_tokens(processor):
    from maas.models.text_cnn import TextCNN

    with pytest.raises(ConfigError) as caught:
        SETTINGS.pretrain(TextCNN(**processor.net_arguments, outputs=2), processor, TEXTS, 0)
    assert str(caught.value) == (
        "pretrain needs a net with an embedding and a method hidden(input_ids); TextCNN lacks one of them. Set "
        "pretrain=null or model=encoder."
    )
