"""A folder of CTranslate2 gives the net that it was made of, whatever its weights are stored as."""

import json
import struct

import numpy as np
import pytest

from maas.errors import ConfigError
from maas.importing.speech.ctranslate2_file import read_ctranslate2
from maas.importing.speech.ctranslate2_whisper import read_whisper
from tests.unit import tiny_whisper


@pytest.fixture(scope="module")
def state():
    return {name: one.numpy() for name, one in tiny_whisper.whisper().state_dict().items()}


def test_weights_are_those_of_transformers_when_a_folder_is_read(tmp_path, state):
    found = read_whisper(tiny_whisper.save_ctranslate2(tmp_path / "folder")).weights
    assert found.keys() == state.keys()
    for name, weight in state.items():
        np.testing.assert_array_equal(found[name], weight, err_msg=name)


@pytest.mark.parametrize(("stored", "steps"), [("int8", 254), ("int16", 2**11), ("float16", 2**11), ("bfloat16", 2**7)])
def test_weights_are_as_near_as_their_bits_allow_when_they_are_stored_in_fewer(tmp_path, stored, steps):
    exact, found = (
        read_ctranslate2(tiny_whisper.save_ctranslate2(tmp_path / kind, kind) / "model.bin").variables
        for kind in ("float32", stored)
    )
    assert found.keys() == exact.keys()
    for name, weight in exact.items():
        assert found[name].dtype == weight.dtype
        assert np.abs(found[name] - weight).max() <= 1.001 * np.abs(weight).max() / steps, name


def test_values_are_whole_steps_of_their_rows_when_they_are_stored_as_int8(tmp_path):
    variables = read_ctranslate2(tiny_whisper.save_ctranslate2(tmp_path / "folder", "int8") / "model.bin").variables
    rows = variables["decoder/layer_0/ffn/linear_0/weight"]
    steps = rows / np.abs(rows).max(axis=1, keepdims=True) * 127
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
    assert not any(name.endswith("_scale") for name in variables)


def test_shape_and_tokens_are_those_of_the_model_when_a_folder_is_read(tmp_path):
    found = read_whisper(tiny_whisper.save_ctranslate2(tmp_path / "folder"))
    wanted = tiny_whisper.config().to_dict()
    assert {**{name: wanted[name] for name in found.config}, "pad_token_id": None} == found.config
    assert found.suppressed_tokens == tuple(tiny_whisper.SUPPRESSED)
    assert found.suppressed_first == tuple(tiny_whisper.SUPPRESSED_FIRST)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-200], r"cannot be read as a model of CTranslate2: "),
        (
            lambda content: struct.pack("<I", 9) + content[4:],
            r"is of version 9 of CTranslate2's files; 4 to 6 are read",
        ),
        (
            lambda content: content.replace(b"WhisperSpec", b"WhimperSpec"),
            r"holds a WhimperSpec; a Whisper is a Whisper",
        ),
        (lambda content: content.replace(b"encoder/conv1", b"encoder/conv3"), r"lacks .*conv1"),
        (
            lambda content: content.replace(b"decoder/layer_norm/beta", b"decoder/layer-norm-beta"),
            r"is no Whisper that is known here: ",
        ),
        (lambda content: b"", r"cannot be read as a model of CTranslate2: "),
    ],
)
def test_file_is_refused_in_one_line_when_it_is_another(tmp_path, change, message):
    folder = tiny_whisper.save_ctranslate2(tmp_path / "folder")
    path = folder / "model.bin"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ConfigError, match=message) as caught:
        read_whisper(folder)
    assert "\n" not in str(caught.value)


def test_folder_is_refused_when_it_has_no_tokenizer(tmp_path):
    folder = tiny_whisper.save_ctranslate2(tmp_path / "folder")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"cannot be read as a Whisper of CTranslate2: .*tokenizer\.json"):
        read_whisper(folder)


def test_folder_is_refused_when_its_description_is_no_json(tmp_path):
    folder = tiny_whisper.save_ctranslate2(tmp_path / "folder")
    (folder / "config.json").write_text(json.dumps({})[:-1])
    with pytest.raises(ConfigError, match="cannot be read as a Whisper of CTranslate2: "):
        read_whisper(folder)


def test_nothing_is_suppressed_when_a_description_says_null(tmp_path):
    folder = tiny_whisper.save_ctranslate2(tmp_path / "folder")
    (folder / "config.json").write_text(json.dumps({"suppress_ids": None, "suppress_ids_begin": None}))
    found = read_whisper(folder)
    assert (found.suppressed_tokens, found.suppressed_first) == ((), ())


def test_folder_is_refused_when_its_description_is_no_object(tmp_path):
    folder = tiny_whisper.save_ctranslate2(tmp_path / "folder")
    (folder / "config.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"config\.json holds no object; convert the model again\."):
        read_whisper(folder)
