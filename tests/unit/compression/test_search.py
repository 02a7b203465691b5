"""Every pass is tried and evaluated; what is refused has its reasons, and fp32 ships when nothing may."""

import re
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
import torch

import maas.compression.search as search_module
from maas.compression.budget import Budget
from maas.compression.candidates import CandidateBuilder
from maas.compression.choosing import best_candidate
from maas.compression.passes import Calibration, PassContext
from maas.compression.passes.distil import Distil
from maas.compression.passes.finetune import Finetune
from maas.compression.passes.prune import Prune
from maas.compression.passes.quantize_static import QuantizeStatic
from maas.compression.search import Search
from maas.compression.settings import CompressionSettings
from maas.compression.store import CandidateStore
from maas.errors import BudgetError, ConfigError, ExportError
from maas.exporting.source import CheckpointModel
from maas.files import sha256_of
from maas.training.checkpoint import Checkpoint
from maas.training.recipe import TrainingRecipe

EASY = Budget(max_drop=None, min_agreement=None, max_batch_effect=None, speedup=None)


@dataclass(frozen=True)
class Failing:
    """A pass that cannot be applied."""

    strength: int = 3
    side: ClassVar[str] = "onnx"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        raise ExportError("this graph cannot be treated")


@dataclass(frozen=True)
class Unloadable:
    """A pass whose work onnxruntime cannot load."""

    side: ClassVar[str] = "onnx"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        out.write_bytes(b"no graph")


@dataclass(frozen=True)
class Stumbling:
    """A pass whose work onnxruntime loads, and cannot run."""

    side: ClassVar[str] = "onnx"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        model = onnx.load(parent)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([7, 64]), "sevens"))
        source = model.graph.input[0].name
        model.graph.node.insert(0, onnx.helper.make_node("Reshape", [source, "sevens"], ["reshaped"]))
        for node in model.graph.node[1:]:
            node.input[:] = ["reshaped" if name == source else name for name in node.input]
        onnx.save(model, out)


@dataclass(frozen=True)
class Copying:
    """A pass that makes nothing smaller."""

    side: ClassVar[str] = "onnx"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        out.write_bytes(parent.read_bytes())


@dataclass(frozen=True)
class Overflowing:
    """A pass whose model answers with numbers beyond all bounds."""

    side: ClassVar[str] = "onnx"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        model = onnx.load(parent)
        for one in model.graph.initializer:
            one.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(one) * np.float32(np.inf), one.name))
        onnx.save(model, out)


@pytest.fixture
def tried(few_turns, line, evaluator, digits, tmp_path):
    """Searches over the digits line: `tried(budget, trials=…, name=pass, …)` gives the record and the chosen file."""

    def onnx_of(checkpoint: Checkpoint, out: Path) -> Path:
        return CheckpointModel(checkpoint, digits, opset=20).write_graph(out)

    def make(budget: Budget, *, space=None, trials=0, scratch_baselines=0, root=line.checkpoint, **passes):
        settings = CompressionSettings(budget, passes, trials, space or {}, scratch_baselines)
        context = PassContext(TrainingRecipe.of(line.config), digits, root, tmp_path, 0)
        store = CandidateStore(tmp_path, "context")
        found = Search(CandidateBuilder(evaluator, context, settings, store, onnx_of if root else None)).run()
        return found.record, found.chosen.model(found.record.chosen)

    return make


def test_smallest_allowed_is_chosen_with_its_numbers_when_a_pass_keeps_the_budget(tried, line):
    record, chosen = tried(EASY, static=QuantizeStatic(), all=QuantizeStatic(keep_head=False), same=Copying())
    assert record.chosen in ("static", "all")
    best = record.candidate(record.chosen)
    others = [one for one in record.candidates if not one.reasons and one.name != "fp32"]
    assert best is best_candidate(others)
    assert best.sha256 == sha256_of(chosen)
    assert best.parent_sha256 == record.candidate("fp32").sha256 == sha256_of(line.bundle.model_path)
    assert best.target == "maas.compression.passes.quantize_static.QuantizeStatic"
    assert record.candidate("static").settings == asdict(QuantizeStatic())
    assert record.reason.startswith(f"{record.candidate('fp32').bytes / best.bytes:.2f} times smaller, a batch takes ")
    assert record.rows == 269
    assert record.candidate("same").reasons[0].startswith("it has ")


def test_fp32_is_kept_with_every_reason_when_nothing_keeps_the_budget(tried, line):
    budget = Budget(speedup=1000)
    record, chosen = tried(budget, static=QuantizeStatic(), failing=Failing())
    assert record.chosen == "fp32"
    assert chosen.read_bytes() == line.bundle.model_path.read_bytes()
    took = record.candidate("static").latency
    said = f"a batch takes {took.median_ms:.3g} ms, by the model as exported {took.median_ms / took.ratio:.3g}: "
    assert f"{said}{1 / took.ratio:.3g} times as fast, required is 1000" in record.candidate("static").reasons
    assert record.reason.startswith("Nothing that was tried keeps the budget, so fp32 is kept (static: ")
    assert "failing: this graph cannot be treated)." in record.reason
    assert record.budget["speedup"] == 1000
    assert record.is_unmet


def test_failure_is_recorded_with_its_settings_when_a_pass_cannot_be_applied(tried, line):
    record, _ = tried(EASY, failing=Failing())
    failed = record.candidate("failing")
    assert failed.reasons == ("this graph cannot be treated",)
    assert (failed.bytes, failed.sha256, failed.settings, failed.metric) == (0, "", {"strength": 3}, None)
    assert record.chosen == "fp32"


def test_failure_is_recorded_when_onnxruntime_cannot_load_what_a_pass_made(tried, line):
    record, chosen = tried(EASY, unloadable=Unloadable())
    assert (record.chosen, sha256_of(chosen)) == ("fp32", sha256_of(line.bundle.model_path))
    assert "ONNX Runtime cannot load" in record.candidate("unloadable").reasons[0]


def test_failure_is_recorded_when_onnxruntime_cannot_run_what_a_pass_made(tried, line):
    record, _ = tried(EASY, stumbling=Stumbling())
    (reason,) = record.candidate("stumbling").reasons
    assert reason.startswith("ONNX Runtime opens the graph and fails in it: ")
    assert record.chosen == "fp32"


def test_fp32_is_kept_when_no_pass_is_asked_for(tried, line):
    record, chosen = tried(Budget())
    assert (record.chosen, record.reason, record.is_unmet) == ("fp32", "The recipe names no pass.", False)
    assert sha256_of(chosen) == sha256_of(line.bundle.model_path)
    assert record.candidate("fp32").drop.value == 0
    assert record.candidate("fp32").agreement == 1
    assert record.candidate("fp32").latency.ratio == 1, "a model is not timed beside itself"


def test_epochs_are_those_of_every_chain_and_scratch_baseline_when_they_are_counted():
    passes = {"prune": Prune(), "finetune": Finetune(epochs=4), "distil": Distil(epochs=3), "static": QuantizeStatic()}
    assert CompressionSettings(EASY, passes).epochs(10, is_augmented=True) == 4 + 3 * 4 / 3
    assert CompressionSettings(EASY, passes).epochs(10, is_augmented=False) == pytest.approx(4 + 3 + 1 / 3)
    searched = CompressionSettings(EASY, passes, trials=5, scratch_baselines=2)
    assert searched.epochs(10, is_augmented=True) == 5 * (4 + 3 * 4 / 3) + 2 * (10 + 4 + 3)
    assert (CompressionSettings(EASY, passes).variants, searched.variants) == (1, 7)
    assert CompressionSettings(EASY, {"static": QuantizeStatic()}).variants == 0


APPLIED: list[str] = []


@dataclass(frozen=True)
class Counted:
    """A pipeline's end that counts how often it is applied, and can be interrupted."""

    strength: int = 0
    side: ClassVar[str] = "checkpoint"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        if STOP and self.strength == STOP[0]:
            raise KeyboardInterrupt
        APPLIED.append(f"{parent.digest}{self.strength}")
        return parent.succeeded_by(out, parent.model(), history=({"validation_accuracy": 0.5},), metrics={})


@dataclass(frozen=True)
class Hopeless:
    """A pass over checkpoints that cannot be applied."""

    side: ClassVar[str] = "checkpoint"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        raise ExportError("this net cannot be treated")


STOP: list[int] = []
SPACE = {"count": {"strength": {"low": 0, "high": 9}}}


def test_pruned_net_is_chosen_with_its_chain_when_it_keeps_the_budget(tried, line):
    pipeline = {"prune": Prune(ratio=0.5, scope="layer"), "finetune": Finetune(epochs=2)}
    record, chosen = tried(EASY, **pipeline, static=QuantizeStatic())
    names = [one.name for one in record.candidates]
    assert names == ["fp32", "static", "prune-finetune", "prune-finetune-static"]
    assert record.chosen == "prune-finetune-static"
    best, parent = record.candidate(record.chosen), record.candidate("prune-finetune")
    assert (best.parent, best.parent_sha256, best.sha256) == ("prune-finetune", parent.sha256, sha256_of(chosen))
    assert [applied.name for applied in best.applied_passes] == ["prune", "finetune"]
    assert best.applied_passes[0].settings["ratio"] == 0.5
    root = record.candidate("fp32")
    assert parent.parameters < 0.6 * root.parameters
    assert parent.macs < 0.6 * root.macs
    assert best.bytes < parent.bytes < 0.6 * root.bytes
    assert best.gzip_bytes < best.bytes
    assert parent.drop_from_parent is None
    assert parent.agreement > 0.99, "against its own checkpoint, by torch"
    assert {(one.batch_size, one.threads) for one in best.latencies} >= {(1, 1), (16, 1), (32, 1)}
    assert best.latency == best.latencies[0]
    assert best.peak_bytes > 1e7
    assert best.load_ms > 0


def test_nothing_is_made_again_when_a_search_was_interrupted_and_goes_on(tried):
    APPLIED.clear()
    whole, _ = tried(EASY, trials=6, space=SPACE, count=Counted())
    tries = [one.name for one in whole.candidates]
    assert len(APPLIED) == len(set(APPLIED)) == len(tries) - 1 > 2
    again, _ = tried(EASY, trials=6, space=SPACE, count=Counted())
    assert len(APPLIED) == len(tries) - 1, "all of it lay there"
    assert again == whole


def test_search_goes_on_where_it_was_when_it_was_stopped_in_a_trial(tried, tmp_path):
    APPLIED.clear()
    whole, _ = tried(EASY, trials=6, space=SPACE, count=Counted())
    order = [applied.settings["strength"] for one in whole.candidates[1:] for applied in one.applied_passes]
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    APPLIED.clear()
    STOP[:] = [order[2]]
    with pytest.raises(KeyboardInterrupt):
        tried(EASY, trials=6, space=SPACE, count=Counted())
    STOP.clear()
    before = list(APPLIED)
    resumed, _ = tried(EASY, trials=6, space=SPACE, count=Counted())
    assert len(before) == 2
    assert APPLIED[:2] == before
    assert len(APPLIED) == len(set(APPLIED)) == len(order)
    assert [one.sha256 for one in resumed.candidates] == [one.sha256 for one in whole.candidates]


def test_larger_net_is_pruned_before_training_when_a_smaller_one_may_ship(tried):
    space = {"prune": {"ratio": [0.2, 0.5, 0.7]}}
    pipeline = {"prune": Prune(scope="layer"), "finetune": Finetune(epochs=1)}
    record, _ = tried(EASY, trials=8, space=space, **pipeline)
    ratios = [one.applied_passes[0].settings["ratio"] for one in record.candidates[1:]]
    assert ratios == sorted(ratios), "only smaller ones were followed"
    assert all("is good enough and no larger" in reason for reason in record.pruned_trials.values())
    assert record.pruned_trials or ratios == [0.2, 0.5, 0.7]


@pytest.mark.parametrize("is_trained_between", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_nets_are_compared_only_after_the_last_pruning(tried, is_trained_between):
    space = {"prune": {"ratio": [0.2, 0.5, 0.7]}}
    first = {
        "first": Prune(ratio=0.2, scope="layer"),
        **({"between": Finetune(epochs=1)} if is_trained_between else {}),
    }
    pipeline = {**first, "prune": Prune(scope="layer"), "finetune": Finetune(epochs=1)}
    record, _ = tried(EASY, trials=8, space=space, **pipeline)
    ratios = [one.applied_passes[-2].settings["ratio"] for one in record.candidates[1:]]
    assert len(ratios) > 1, "after the first pruning all nets are as large"
    assert ratios == sorted(ratios)


@pytest.mark.slow
def test_no_trial_is_pruned_for_one_that_could_not_be_measured(tried):
    space, pipeline = {"prune": {"ratio": [0.2, 0.5, 0.7]}}, {"prune": Prune(scope="layer"), "tune": Finetune(epochs=1)}
    record, _ = tried(replace(EASY, max_drop=0.0), trials=8, space=space, **pipeline, overflowing=Overflowing())
    assert not any("good enough" in reason for reason in record.pruned_trials.values())


@pytest.mark.slow
def test_one_scratch_baseline_is_enough_when_another_cannot_be_trained(tried, monkeypatch):
    made = search_module.scratch_baseline_of

    def second_fails(variant, context, store, number):
        if number == 1:
            raise ExportError("its loss is not finite")
        return made(variant, context, store, number)

    monkeypatch.setattr(search_module, "scratch_baseline_of", second_fails)
    pipeline = {"prune": Prune(ratio=0.5, scope="layer"), "finetune": Finetune(epochs=1)}
    record, _ = tried(EASY, scratch_baselines=2, **pipeline)
    assert record.scratch_baselines == ("scratch0",)
    assert "of 1 nets of this shape" in record.reason


def test_scratch_baselines_are_compared_with_the_chosen_net_when_they_are_asked_for(tried, line):
    pipeline = {"prune": Prune(ratio=0.5, scope="layer"), "finetune": Finetune(epochs=1)}
    record, _ = tried(EASY, scratch_baselines=2, **pipeline)
    assert record.scratch_baselines == ("scratch0", "scratch1")
    pruned = record.candidate("prune-finetune")
    for name, seed in (("scratch0", 0), ("scratch1", 1)):
        baseline = record.candidate(name)
        assert (baseline.parameters, baseline.macs) == (pruned.parameters, pruned.macs)
        assert baseline.applied_passes[0].settings == {"epochs": len(line.checkpoint.record.history) + 1, "seed": seed}
    assert "of 2 nets of this shape that were trained from scratch for as many epochs" in record.reason
    assert record.chosen == "prune-finetune" or record.reason.endswith(f"They win: {record.chosen} ships.")


def test_pipeline_is_refused_with_its_reason_when_a_pass_cannot_be_applied(tried):
    record, _ = tried(EASY, hopeless=Hopeless())
    assert (record.chosen, record.pruned_trials) == ("fp32", {"hopeless": "this net cannot be treated"})
    assert record.reason.endswith("so fp32 is kept (hopeless: this net cannot be treated).")


@dataclass(frozen=True)
class Lean:
    """Makes a net that its ONNX file does not answer like."""

    side: ClassVar[str] = "checkpoint"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        net = parent.model()
        net.lean[0] = 2.0
        return parent.succeeded_by(out, net, history=(), metrics={})


def test_variant_is_refused_with_all_that_is_made_of_it_when_its_parity_is_broken(
    line, evaluator, digits, nets, save, tmp_path
):
    torch.manual_seed(0)
    arguments, processor = {"in_features": 64, "outputs": 10}, line.checkpoint.processor()
    root = save(
        tmp_path / "train", nets.Leaning(**arguments), processor, "small_nets.Leaning", digits.labels, **arguments
    )

    def onnx_of(checkpoint: Checkpoint, out: Path) -> Path:
        return CheckpointModel(checkpoint, digits, opset=20).write_graph(out)

    graph = onnx_of(root, tmp_path / "fp32.onnx")
    evaluator = replace(evaluator, graph=graph, parent=evaluator.predictor(graph))
    passes = {"lean": Lean(), "static": QuantizeStatic(keep_head=False)}
    context = PassContext(TrainingRecipe.of(line.config), digits, root, tmp_path, 0)
    settings, store = CompressionSettings(EASY, passes), CandidateStore(tmp_path, "context")
    record = Search(CandidateBuilder(evaluator, context, settings, store, onnx_of)).run().record
    assert [one.name for one in record.candidates] == ["fp32", "static"]
    assert re.fullmatch(
        f"onnxruntime does not predict as torch on {record.rows} rows: a number differs by 0[.][0-9]+, "
        r"allowed is 1e-05[.]",
        record.pruned_trials["lean"],
    )


def test_candidate_is_refused_and_the_record_can_be_read_again_when_answers_are_no_numbers(tried):
    for _ in range(2):  # made, and read
        record, _ = tried(EASY, overflowing=Overflowing())
        refused = record.candidate("overflowing")
        assert refused.reasons == ("some of its scores are not finite numbers",)
        assert (refused.metric, record.chosen) == (None, "fp32")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prune": Prune(keep=["trunk.*"])}, "keep has the pattern 'trunk.[*]', which no module matches; there are"),
        ({"fp32": Copying()}, "fp32 is the name of the model as exported and of the pass fp32; give the pass another"),
        ({"prune": Prune(), "trials": 3}, "compress.trials is 3 and compress.space is empty"),
        (
            {"static": QuantizeStatic(), "space": {"static": {"method": ["minmax"]}}},
            "compress.space names static, an ONNX pass; ONNX passes are all tried as they are written",
        ),
    ],
)
def test_search_is_refused_when_it_cannot_be_made(tried, settings, message):
    with pytest.raises(BudgetError, match=message):
        tried(EASY, **settings)


def test_graph_alone_is_compressed_when_there_is_no_checkpoint(tried, line):
    record, chosen = tried(EASY, root=None, static=QuantizeStatic())
    assert [one.name for one in record.candidates] == ["fp32", "static"]
    assert (record.chosen, sha256_of(chosen)) == ("static", record.candidate("static").sha256)
    assert record.candidate("fp32").sha256 == sha256_of(line.bundle.model_path)
    assert (record.candidate("fp32").parameters, record.candidate("static").macs) == (None, None)


def test_passes_over_checkpoints_are_refused_when_there_is_no_checkpoint(tried):
    with pytest.raises(ConfigError) as caught:
        tried(EASY, root=None, prune=Prune(), static=QuantizeStatic())
    assert str(caught.value) == (
        "prune needs a trained checkpoint, and model.onnx comes without one. Leave it out, e.g. "
        "~compress.passes.prune, or name the recipe: python -m maas.compress recipe=NAME."
    )


@dataclass(frozen=True)
class Undeclared:
    """A pass as a user may write it first."""

    side: ClassVar[str] = "onnx"

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        raise AssertionError("never applied")


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        ({"side": None}, "must declare side, and does not declare it. Write in the class: side: ClassVar["),
        ({"side": "graph"}, "must declare side, and declares 'graph'. Write in the class: side: ClassVar["),
        ({}, "must declare trains, and does not declare it. Write in the class: trains: ClassVar[bool] = False  # "),
        ({"trains": False}, "must declare needs_teacher, and does not declare it. Write in the class: needs_teacher: "),
        ({"trains": True, "needs_teacher": False}, "takes ONNX files, which cannot be trained. Declare trains and "),
        (
            {"side": "checkpoint", "trains": True, "needs_teacher": False},
            "trains, and has no setting epochs. Give it the field: epochs: int = 3.",
        ),
    ],
)
def test_pass_is_refused_in_one_line_when_it_does_not_declare_what_it_is(tried, declared, fault):
    kind = type("Mine", (Undeclared,), {**declared, "__module__": "mine"})
    with pytest.raises(BudgetError) as caught:
        tried(EASY, own=kind())
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"compress.passes.own: mine.Mine {fault}")
