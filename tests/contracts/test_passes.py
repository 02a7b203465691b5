"""Every file in compression/passes holds one pass, which keeps the protocol and makes a small real graph smaller."""

import dataclasses
import importlib
import inspect
import pkgutil

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from maas.compression import passes
from maas.compression.passes import Calibration, CheckpointPass, OnnxPass, PassContext
from maas.compression.passes.base import DECLARATIONS, require_declared
from maas.config import compose
from maas.config.faults import faults_of
from maas.data.splits import Split
from maas.errors import ExportError
from maas.models.encoder import EncoderLayer
from maas.models.resnet import BasicBlock, ResNet
from maas.runtime.graph import session_options
from maas.runtime.processors.image import ImageProcessor
from maas.training.checkpoint import Checkpoint
from maas.training.evaluation import scores_of
from maas.training.recipe import TrainingRecipe

NAMES = sorted(module.name for module in pkgutil.iter_modules(passes.__path__) if module.name != "base")


NEEDED = {"drop_heads": EncoderLayer, "drop_layers": (EncoderLayer, BasicBlock), "prune_vocabulary": torch.nn.Embedding}
"""What a net must have for a pass to find anything to cut."""
SETTINGS = {"prune_vocabulary": {"min_count": 30}}
"""Where few rows and few tokens call for others than the defaults."""
CALIBRATING = ("temperature",)
"""Passes that leave the weights, so that how these were trained stays in the record."""
CLEANING = ("simplify",)
"""Passes that have little to do on a graph that was exported here."""


def pass_of(name: str) -> type:
    module = importlib.import_module(f"{passes.__name__}.{name}")
    found = [
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if one.__module__ == module.__name__ and hasattr(one, "apply")
    ]
    assert len(found) == 1, "one pass, one file"
    return found[0]


@pytest.fixture(scope="module", params=["numbers", "tokens"])
def graph(request, line, digits, token_model, text_processor):
    """A graph, a function that gives its model inputs, and the kind of net."""
    if request.param == "numbers":
        predictor = line.bundle.predictor
        rows = predictor.preprocess(digits.train.inputs[:128])
        return line.bundle.model_path, predictor.processor, rows
    texts = [f"{'good bad film ' * (index % 4 + 1)} 很好 {index}" for index in range(128)]
    return token_model, text_processor, text_processor.preprocess(texts)


@pytest.mark.parametrize("name", NAMES)
def test_pass_is_a_frozen_dataclass_of_the_protocol_when_its_file_is_read(name):
    one = pass_of(name)
    assert dataclasses.is_dataclass(one)
    assert one.__dataclass_params__.frozen
    assert one.side in ("checkpoint", "onnx")
    require_declared(name, one)
    for declaration in DECLARATIONS:
        assert any(declaration in vars(base) for base in one.__mro__ if base.__module__.startswith(passes.__name__))
    assert one.trains is ("epochs" in one.__dataclass_fields__), "what trains has epochs, and nothing else has"
    protocol = OnnxPass if one.side == "onnx" else CheckpointPass
    assert list(inspect.signature(one.apply).parameters) == list(inspect.signature(protocol.apply).parameters)
    assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(one)), "settings have defaults"
    documentation = "".join(base.__doc__ or "" for base in one.__mro__)
    assert all(f"{field.name}: " in documentation for field in dataclasses.fields(one))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one().anything = 1


@pytest.mark.parametrize("name", [name for name in NAMES if pass_of(name).side == "onnx"])
def test_graph_is_smaller_and_answers_nearly_alike_when_an_onnx_pass_is_applied(name, graph, tmp_path):
    parent, processor, features = graph

    def model_inputs(count: int):
        groups: dict[int, list] = {}
        for row in features[:count]:
            groups.setdefault(processor.bucket(row), []).append(row)
        for group in groups.values():
            for start in range(0, len(group), 16):
                yield processor.batch(group[start : start + 16])

    out = tmp_path / "out.onnx"
    before = parent.read_bytes()
    pass_of(name)().apply(parent, out, Calibration(model_inputs, 0))
    assert parent.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.onnx"]
    assert out.stat().st_size < (1.01 if name in CLEANING else 0.8) * len(before)
    onnx.checker.check_model(onnx.load(out))
    given, made = (
        ort.InferenceSession(path, session_options(), providers=["CPUExecutionProvider"]) for path in (parent, out)
    )
    assert [(one.name, one.shape) for one in given.get_inputs()] == [(one.name, one.shape) for one in made.get_inputs()]
    for batch in model_inputs(64):
        np.testing.assert_allclose(made.run(None, batch)[0], given.run(None, batch)[0], atol=0.15)


@pytest.fixture(scope="module")
def pictures(save, digits, tmp_path_factory):
    """An untrained net of residual blocks, and grey pictures for it."""
    torch.manual_seed(0)
    arguments = {"in_channels": 1, "outputs": 10, "widths": (8, 16), "blocks": (2, 1), "stem_pool": False}
    labels, folder = tuple("0123456789"), tmp_path_factory.mktemp("pictures") / "train"
    processor = ImageProcessor(height=8, width=8, channels=1)
    made = save(folder, ResNet(**arguments), processor, "maas.models.resnet.ResNet", labels, **arguments)

    def drawn(split: Split) -> Split:
        rows = np.asarray(split.inputs[:64], np.float32).reshape(-1, 8, 8)
        return Split(list((15 * rows).astype(np.uint8)), split.targets[:64])

    parts = {name: drawn(getattr(digits, name)) for name in ("train", "validation", "test")}
    return made, dataclasses.replace(digits, labels=labels, **parts)


@pytest.fixture(scope="module", params=["numbers", "tokens", "pictures"])
def trained(request, line, digits, encoder_checkpoint, texts, pictures):
    """A checkpoint, its recipe and rows: of plain layers, of attention, and of residual blocks of convolutions."""
    if request.param == "numbers":
        return line.checkpoint, line.config, digits
    config = dataclasses.replace(line.config, metric="accuracy", batch_size=8)
    return (encoder_checkpoint, config, texts) if request.param == "tokens" else (pictures[0], config, pictures[1])


@pytest.mark.parametrize("name", [name for name in NAMES if pass_of(name).side == "checkpoint"])
def test_checkpoint_answers_and_can_be_opened_when_a_checkpoint_pass_is_applied(name, trained, tmp_path):
    parent, config, splits = trained
    before = {file: file.read_bytes() for file in parent.folder.rglob("*") if file.is_file()}

    def applied(index: int) -> Checkpoint:
        folder = tmp_path / str(index)
        one = pass_of(name)(**SETTINGS.get(name, {}))
        root = parent if one.needs_teacher else None
        return one.apply(parent, folder / "out", PassContext(TrainingRecipe.of(config), splits, root, folder, seed=0))

    if name in NEEDED and not any(isinstance(one, NEEDED[name]) for one in parent.model().modules()):
        with pytest.raises(ExportError, match=f"{type(parent.model()).__name__} has no "):
            applied(0)
        return
    made = [applied(index) for index in range(2)]
    assert {file: file.read_bytes() for file in before} == before
    assert made[0].digest == made[1].digest != parent.digest, "the same work gives the same bytes"
    assert bool(made[0].record.history) is (pass_of(name).trains or name in CALIBRATING)
    again = Checkpoint.open(made[0].folder)
    answers = scores_of(again.run(), again.postprocessor(), again.processor(), splits.validation.inputs[:5])
    assert answers.shape == (5, len(parent.record.labels))
    sizes = [sum(one.numel() for one in checkpoint.model().parameters()) for checkpoint in (parent, again)]
    assert sizes[1] <= sizes[0]
    assert again.record.plan is not None or sizes[1] == sizes[0]


@pytest.mark.parametrize("name", NAMES)
def test_pass_can_be_named_in_a_recipe_when_it_is_added_by_its_path(name):
    one = pass_of(name)
    config = compose("digits_mlp", f"+compress.passes.added._target_={one.__module__}.{one.__qualname__}")
    assert list(faults_of(config)) == []
