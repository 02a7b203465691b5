"""Olive's search over quantisations of an ONNX model.

    python olive_search.py GIVEN OUT

The graph is cleaned up, and where there is attention fused too; from each of these models Olive's TPE sampler searches
each way of quantising: weights of 4 or 8 bits in blocks, and with all that `OnnxQuantization` can search of it dynamic
quantisation, static u8/s8 of the weighted operators alone, which ONNX Runtime recommends for x86 with VNNI, and static
quantisation of all operators in Olive's own formats and types. What is left of the time is shared equally among what is
left to search. Olive's evaluator measures on validation rows; of the models that keep the goal for accuracy the fastest
is Olive's choice.

Each way is a workflow of its own, with one pass, for two faults of Olive 0.13: its samplers take the first of several
alternatives always, and it cannot record a model twice that several flows begin with. Two things make more of its
ways succeed: calibration rows of one length, and no shapes written into the graph, at which dynamic quantisation fails.
"""

import sys
import time
from pathlib import Path
from typing import Any

import onnx
from given import Given, Made, described, give_back, one_line
from olive import run
from olive.data.registry import Registry

CLEAN = {"peephole": {"type": "OnnxPeepholeOptimizer"}}
FUSE = {"fused": {"type": "OrtTransformersOptimization", "model_type": "bert"}}
QUANTIZE = {"type": "OnnxQuantization", "data_config": "calibration", "extra_options": {"DefaultTensorType": 1}}
WAYS: dict[str, dict[str, Any]] = {
    "4 bits": {"type": "OnnxBlockWiseRtnQuantization", "bits": 4},
    "8 bits": {"type": "OnnxBlockWiseRtnQuantization", "bits": 8},
    "dynamic": {**QUANTIZE, "quant_mode": "dynamic"},
    "static u8s8": {
        **QUANTIZE,
        "quant_mode": "static",
        "quant_format": "QDQ",
        "precision": "int8",
        "activation_type": "uint8",
        "prepare_qdq_config": False,
        "op_types_to_quantize": ["Conv", "MatMul", "Gemm", "Gather"],
    },
    "static": {**QUANTIZE, "quant_mode": "static"},
}
STORING = {"save_as_external_data", "all_tensors_to_one_file", "size_threshold", "convert_attribute"}
IGNORED = "OLIVE_IGNORED_PARAM_VALUE"


def main(given: Given, out: Path) -> None:
    """Searches, and gives back the fastest and the smallest of what Olive kept."""
    started = time.perf_counter()
    register(given)
    cleaned = {name: prepared(given, out, name, one) for name, one in cleanings(given).items()}
    flows = [(base, model, way) for base, model in cleaned.items() if model for way in WAYS]
    kept: list[tuple[str, Any]] = []
    measured = 0
    for number, (base, model, way) in enumerate(flows):
        left_s = given.terms.seconds - (time.perf_counter() - started)
        if left_s > 0:
            flow = f"{base}, {way}"
            found = searched(given, out / flow, model, WAYS[way], left_s / (len(flows) - number))
            kept += [(flow, one) for one in found.get_output_models()]
            measured += sum(bool(node.metrics and node.parent_model_id) for node in found.footprint.nodes.values())
    seconds = time.perf_counter() - started
    if not kept:
        give_back(out, Made("search", "", seconds, fault=f"none of {measured} models that it measured met the goal"))
    for name, figure in (("fastest", "latency-p50"), ("smallest", "size-bytes")) if kept else ():
        flow, best = min(kept, key=lambda one: one[1].metrics_value[figure]["value"])
        file = out / f"{name}.onnx"
        onnx.save(onnx.load(best.model_path), file)
        shown = f"{flow}: {settings_of(best)}; {measured} measured"
        give_back(out, Made(name, shown, seconds, str(file)))


def cleanings(given: Given) -> dict[str, dict[str, Any]]:
    """Returns what is done before quantising, by name."""
    return CLEAN | FUSE if given.is_transformer else CLEAN


def register(given: Given) -> None:
    """Makes the rows known by name."""

    @Registry.register_dataset()
    def calibration(**_: Any) -> list[Any]:
        return [(model_inputs, 0) for model_inputs in given.padded]

    @Registry.register_dataset()
    def validation(**_: Any) -> list[Any]:
        return given.validation

    @Registry.register_dataset()
    def timed(**_: Any) -> list[Any]:
        return [(given.timed, 0)]

    @Registry.register_post_process()
    def labels(outputs: Any, **_: Any) -> Any:
        scores = outputs[given.terms.output] if isinstance(outputs, dict) else outputs
        return scores.argmax(dim=1)


def prepared(given: Given, out: Path, name: str, one: dict[str, Any]) -> Path | None:
    """Returns the cleaned model; None if Olive cannot make it."""
    try:
        found = run(workflow(given, out / name, given.model, one, {}))
        file = out / f"{name}.onnx"
        cleaned = onnx.load(found.get_best_candidate().model_path)
        del cleaned.graph.value_info[:]
        onnx.save(cleaned, file)
    except Exception as error:  # noqa: BLE001 - passes raise whatever they meet
        give_back(out, Made(name, described(one), 0.0, fault=one_line(error)))
        return None
    return file


def searched(given: Given, out: Path, model: Path, one: dict[str, Any], seconds: float) -> Any:
    """Returns what Olive finds within a time."""
    sampler = {"sampler": "tpe", "sampler_config": {"seed": 0}, "execution_order": "joint"}
    strategy = {**sampler, "max_time": max(1, round(seconds))}
    return run(workflow(given, out, model, one, {"evaluator": "evaluator", "search_strategy": strategy}))


def workflow(given: Given, out: Path, model: Path, one: dict[str, Any], engine: dict[str, Any]) -> dict[str, Any]:
    """Returns what `olive run` takes as JSON: one pass over a model, whose best lies in `out` then."""
    cpu = {"device": "cpu", "execution_providers": ["CPUExecutionProvider"]}
    return {
        "input_model": {"type": "ONNXModel", "model_path": str(model)},
        "systems": {"machine": {"type": "LocalSystem", "accelerators": [cpu]}},
        "data_configs": [rows(name) for name in ("calibration", "validation", "timed")],
        "evaluators": {"evaluator": {"type": "OnnxEvaluator", "metrics": metrics(given)}},
        "passes": {"pass": [one]},
        "engine": {
            "host": "machine",
            "target": "machine",
            "output_dir": str(out),
            "cache_dir": str(out.parent / "cache"),
            "log_severity_level": 1,
            **engine,
        },
    }


def rows(name: str) -> dict[str, Any]:
    """Returns where the rows of a name come from; they are batches already."""
    return {
        "name": name,
        "type": "DataContainer",
        "load_dataset_config": {"type": name},
        "dataloader_config": {"type": "no_auto_batch_dataloader"},
        "post_process_data_config": {"type": "labels"},
    }


def metrics(given: Given) -> list[dict[str, Any]]:
    """Returns what Olive measures, the most important first."""
    one_thread = {"onnx": {"session_options": {"intra_op_num_threads": 1, "inter_op_num_threads": 1}}}
    goal = {"type": "max-degradation", "value": given.terms.max_drop / 100}
    task = {"task": "multiclass", "num_classes": given.terms.classes}
    accuracy = {"name": "accuracy_score", "higher_is_better": True, "metric_config": task, "goal": goal}
    return [
        {
            "name": "latency",
            "type": "latency",
            "data_config": "timed",
            "sub_types": [{"name": "p50", "priority": 1}],
            "user_config": {"inference_settings": one_thread},
        },
        {
            "name": "accuracy",
            "type": "accuracy",
            "data_config": "validation",
            "sub_types": [{**accuracy, "priority": 2}],
            "user_config": {"inference_settings": one_thread},
        },
        {"name": "size", "type": "size_on_disk", "sub_types": [{"name": "bytes", "priority": 3}]},
    ]


def settings_of(model: Any) -> str:
    """Returns what Olive set of the pass that made a model, less how the file is written and what it ignores."""
    settings = model._model_node.pass_run_config or {}
    plain = {key: value for key, value in settings.items() if isinstance(value, bool | int | str)}
    return described({key: value for key, value in plain.items() if key not in STORING and value != IGNORED})


if __name__ == "__main__":
    main(Given(Path(sys.argv[1])), Path(sys.argv[2]))
