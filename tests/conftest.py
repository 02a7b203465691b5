"""What several rooms of tests share: small real nets, checkpoints and bundles, each made once."""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

CACHE = tempfile.TemporaryDirectory(prefix="maas-tests-datasets-", ignore_cleanup_errors=True)
os.environ.setdefault("HF_DATASETS_CACHE", CACHE.name)  # datasets reads it when it is imported

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell script,
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and below nohup: what tests start would ignore them as well

HERE = Path(__file__).parent
TEXTS = [
    "这是一个很棒的文本",
    "质量太差了，非常失望",
    "a very good film with a long and winding plot that never loses its way, from the first scene to the last one",
    "bad",
    "物流很快，包装完好，下次还会再来",
    "it’s “fine”, I guess…",
]


class Line(NamedTuple):
    """What a short run of the digits recipe leaves."""

    config: Any
    checkpoint: Any
    bundle: Any


def loaded(path: Path, name: str) -> ModuleType:
    spec = spec_from_file_location(name, path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LONG_FIRST = ("lifecycle", "contracts")
"""Folders of the longest files: of two processes, none waits in the end while the other one is at such a file."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first, and gives slow tests an hour each."""
    items.sort(key=lambda item: item.path.parent.name not in LONG_FIRST)
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Takes back what a test or a library changed: mlflow's set_tracking_uri sets a variable, and a global."""
    before = dict(os.environ)
    yield
    if mlflow := sys.modules.get("mlflow"):
        mlflow.set_tracking_uri(None)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def few_turns() -> Iterator[None]:
    """Times models in few turns, where a module's tests look at answers and not at times."""
    from maas.compression import evaluator

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluator, "ROUNDS", 3)
        patch.setattr(evaluator, "GRID_ROUNDS", 2)
        patch.setattr(evaluator, "LATENCY_BATCHES", 2)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    return HERE.parent


@pytest.fixture(scope="session")
def bundles() -> ModuleType:
    """Functions that build bundles with onnx.helper in milliseconds."""
    return loaded(HERE / "unit/serving/bundles.py", "small_bundles")


@pytest.fixture(scope="session")
def interactions() -> ModuleType:
    """Functions that make tables of user, item and time."""
    return loaded(HERE / "unit/interactions.py", "small_interactions")


@pytest.fixture(scope="session")
def nets() -> ModuleType:
    """Small nets that another process can import as `small_nets`, too."""
    folder = str(HERE / "unit/exporting")
    sys.path.insert(0, folder)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = folder if before is None else f"{folder}{os.pathsep}{before}"
    import small_nets

    yield small_nets
    sys.path.remove(folder)
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="session")
def text_processor() -> Any:
    """Fitted on six short texts."""
    from maas.runtime.processors.text import TextProcessor

    return TextProcessor(vocabulary_size=200, max_tokens=64, pad_multiple=8).fit(TEXTS * 3)


@pytest.fixture(scope="session")
def lineage() -> Any:
    from maas.records.manifest import Lineage

    return Lineage("none", (), "0" * 64, 0, "0" * 64, None, "0" * 64, "0.1.0")


@pytest.fixture(scope="session")
def save(lineage) -> Callable[..., Any]:
    """Writes a checkpoint of any net: `save(folder, net, processor, target, labels, rows, **arguments)`.

    Arguments of the net may also be given together as `arguments`, beside the `task`.
    """
    from maas.records.evidence import DataRecord
    from maas.training.checkpoint import NetRecord, save_checkpoint
    from maas.training.heads import task_head_of

    def make(
        folder: Path,
        net: Any,
        processor: Any,
        target: str,
        labels: tuple[str, ...],
        rows: Sequence[Any] = (),
        task: str = "classification",
        arguments: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Any:
        given = {**(arguments or {}), **more}
        return save_checkpoint(
            folder,
            net,
            processor,
            net_record=NetRecord(target, given),
            rows=rows,
            name="small",
            task=task,
            plan=None,
            labels=labels,
            postprocessor=task_head_of(task, labels).postprocessor_record(given.get("outputs", len(labels))),
            history=({"train_loss": 1.0},),
            best_epoch=0,
            metrics={},
            data=DataRecord("0" * 64, {"train": 1}, {}),
            lineage=lineage,
        )

    return make


@pytest.fixture(scope="session")
def token_checkpoint(nets, save, text_processor, tmp_path_factory) -> Any:
    """An untrained embedding and convolution over tokens, big enough to be worth quantising."""
    import torch

    torch.manual_seed(0)
    arguments = {"vocabulary_size": text_processor.net_arguments["vocabulary_size"], "outputs": 2, "width": 48}
    net = nets.Convolution(**arguments)
    folder = tmp_path_factory.mktemp("tokens") / "train"
    return save(folder, net, text_processor, "small_nets.Convolution", ("negative", "positive"), **arguments)


@pytest.fixture(scope="session")
def encoder_checkpoint(save, text_processor, tmp_path_factory) -> Any:
    """An untrained encoder with attention."""
    import torch

    from maas.models.encoder import TextEncoder

    torch.manual_seed(0)
    arguments = {"vocabulary_size": text_processor.net_arguments["vocabulary_size"], "outputs": 2, "width": 32}
    arguments |= {"layers": 3, "heads": 4, "feed_forward": 64}
    folder = tmp_path_factory.mktemp("encoder") / "train"
    labels = ("negative", "positive")
    return save(
        folder, TextEncoder(**arguments), text_processor, "maas.models.encoder.TextEncoder", labels, **arguments
    )


@pytest.fixture(scope="session")
def texts(digits) -> Any:
    """Short texts with two labels, split."""
    from dataclasses import replace

    import numpy as np

    from maas.data.splits import Split

    def rows(count: int) -> Split:
        inputs = [f"{'good' if index % 2 else 'bad'} film number {index} {TEXTS[index % 6]}" for index in range(count)]
        return Split(inputs, np.arange(count) % 2)

    return replace(digits, train=rows(48), validation=rows(16), test=rows(16), labels=("negative", "positive"))


@pytest.fixture(scope="session")
def token_model(token_checkpoint, text_processor, tmp_path_factory) -> Path:
    """The ONNX file of `token_checkpoint`."""
    from maas.exporting.conversion import to_onnx

    examples = text_processor.batch(text_processor.preprocess(TEXTS[:3]))
    return to_onnx(token_checkpoint, examples, tmp_path_factory.mktemp("tokens") / "model.onnx", 20)


@pytest.fixture(scope="session")
def line(tmp_path_factory) -> Line:
    """The digits recipe, two epochs, exported without compression."""
    import maas

    config = maas.compose(
        "digits_mlp",
        "~registry",
        "compress=none",
        "trainer.max_epochs=2",
        "resume=never",
        f"runs_dir={tmp_path_factory.mktemp('runs')}",
    )
    checkpoint = maas.lifecycle.train(config)
    return Line(config, checkpoint, maas.lifecycle.export(config, checkpoint))


@pytest.fixture(scope="session")
def source_of() -> Callable[..., Any]:
    """`source_of(checkpoint, splits)`: the source that a checkpoint is."""
    from maas.exporting.source import Source
    from maas.records.manifest import ServingSettings

    def of(checkpoint: Any, splits: Any, metric: str | None = None) -> Source:
        return Source.trained(checkpoint, splits, opset=20, serving=ServingSettings(), metric=metric)

    return of


@pytest.fixture(scope="session")
def digits(line) -> Any:
    """The rows that `line` was made from."""

    return line.config.data.build()


@pytest.fixture(scope="module", autouse=True)
def own_logger() -> Iterator[None]:
    """Takes back what the tests of a file did to maas' logger: an entry gives it a handler of its stream."""
    logger = logging.getLogger("maas")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagate
    logger.setLevel(level)
