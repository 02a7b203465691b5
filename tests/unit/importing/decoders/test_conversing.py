"""What a pretrained decoder makes tokens by, without its weights."""

import json

import pytest

from maas.errors import ConfigError
from maas.importing.decoders.conversing import conversation_processor
from maas.importing.decoders.pretrained import PretrainedDecoder, text_files_at
from maas.runtime.processors import load_processor

ROW = [{"role": "user", "content": "这是?"}, {"role": "assistant", "content": "the model"}]


def test_files_are_those_of_the_opened_decoder_when_its_weights_are_not_read(llama, llama_folder):
    assert text_files_at(str(llama_folder)) == llama.text_files


def test_end_tokens_are_those_of_the_configuration_when_there_is_no_file_of_generation(tiny_llama, tmp_path):
    folder = tiny_llama.save(tmp_path)
    (folder / "generation_config.json").unlink()
    assert text_files_at(str(folder)).end_tokens == PretrainedDecoder.open(str(folder)).text_files.end_tokens == (0,)


def test_answers_have_the_tokens_of_the_bundle_when_a_row_is_read(llama_folder, generator):
    processor = conversation_processor(str(llama_folder), max_tokens=64)
    (passage,) = processor.passages([ROW])
    expected = generator.passage(ROW)
    assert passage.tokens.tolist() == expected.tokens.tolist()
    assert passage.is_predicted.tolist() == expected.is_predicted.tolist()


def test_processor_needs_no_model_when_it_is_loaded_again(llama_folder, tmp_path):
    processor = conversation_processor(str(llama_folder), max_tokens=64)
    processor.save(tmp_path)
    again = load_processor(json.loads(json.dumps(processor.record())), tmp_path)
    assert again.digest == processor.digest
    assert again.passages([ROW])[0].tokens.tolist() == processor.passages([ROW])[0].tokens.tolist()


def test_processor_is_refused_when_no_model_is_named():
    with pytest.raises(ConfigError, match="processor.pretrained is missing. Set it, or model.pretrained, to a folder"):
        conversation_processor(None)


def test_folder_is_refused_when_it_holds_no_tokenizer(tiny_llama, tmp_path):
    tiny_llama.llama().save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="has no tokenizer that can be opened"):
        text_files_at(str(tmp_path))
