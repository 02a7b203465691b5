"""What is typed after `maas generate`: prompts of any characters, settings by their types, faults in one line each."""

from pathlib import Path

import pytest

from maas.errors import ConfigError, InputError
from maas.prompting.command import GenerationCommand, wants_help
from maas.runtime.generation.settings import GenerationSettings


@pytest.mark.parametrize(
    ("words", "prompt"),
    [
        (["m"], None),
        (["m", "-"], None),
        (["m", "1 + 1 = 2, and"], "1 + 1 = 2, and"),
        (["m", "x == y"], "x == y"),
        (["m", "~compress"], "~compress"),
        (["--", "m", "--json"], "--json"),
        (["m", "--", "seed=1"], "seed=1"),
        (["m", "seed=1", "--", "-5 degrees"], "-5 degrees"),
        (["m", ""], ""),
        (["m", "两行\n文字"], "两行\n文字"),
    ],
    ids=repr,
)
def test_prompt_is_whatever_stands_beside_the_settings(words, prompt):
    command = GenerationCommand.of(words)
    assert (command.model, command.prompt) == ("m", prompt)


def test_settings_have_their_types_when_they_are_given():
    typed = [
        "max_tokens=8", "temperature=0.5", "top_k=3", "seed=1", "ignore_end=true", "overflow=cut", "stop=a=b",
        "stop=\n", "stop_tokens=4,5", 'logit_bias={"7": -1.5}', "presence_penalty=-2",
    ]  # fmt: skip
    assert GenerationCommand.of(["m", *typed]).settings == GenerationSettings(
        max_tokens=8, temperature=0.5, top_k=3, seed=1, ignore_end=True, overflow="cut", stop=("a=b", "\n"),
        stop_tokens=(4, 5), logit_bias={7: -1.5}, presence_penalty=-2.0,
    )  # fmt: skip


def test_own_keys_are_read_when_they_are_given():
    command = GenerationCommand.of(["m", "prompts=a.txt", "out=b.jsonl", "chat=true", "system=Be brief."])
    assert (command.prompts, command.out) == (Path("a.txt"), Path("b.jsonl"))
    assert (command.is_chat, command.system, command.is_json) == (True, "Be brief.", False)
    assert GenerationCommand.of(["m", "x", "--json", "logprobs=2"]).is_json


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=1"], "0 words stand beside the settings; name a model and, in quotes, its prompt. See maas generate"),
        (["m", "a", "b"], "3 words stand beside the settings"),
        (
            ["m", "temprature=1"],
            "temprature is no setting; there are chat, system, prompts, out, max_tokens, temperature",
        ),
        (["m", "name=Bob"], "If it is the prompt, write it after two dashes: -- 'name=Bob'"),
        (["m", "-5"], "There is no option -5. If it is the prompt, write it after two dashes: -- '-5'"),
        (["m", "seed=1", "seed=2"], "seed is given 2 times: 1 and 2. Leave one."),
        (["m", "max_tokens=0"], "max_tokens is 0; it must be a whole number, 1 or more."),
        (["m", "max_tokens=many"], "max_tokens is many; it must be a whole number, 1 or more."),
        (["m", "top_p=1.5"], "top_p is 1.5; it must be a fraction in (0, 1]."),
        (["m", "overflow=no"], "overflow is no; it must be one of refuse, cut."),
        (["m", "stop_tokens=a"], "stop_tokens is a: "),
        (["m", "logit_bias=5"], "logit_bias is 5: Expected `object`, got `int`."),
        (["m", "logit_bias={"], "logit_bias is {: "),
        (["m", "chat=yes"], "chat is yes; it must be true or false."),
        (["m", "prompts=a"], "out is missing. Set out=FILE.jsonl, where the texts of prompts=FILE are written."),
        (["m", "out=a"], "out is of prompts=FILE. Leave it out, or write the text to a file by the shell: > FILE."),
        (["m", "x", "prompts=a", "out=b"], "There are a prompt and prompts=FILE; give one of them."),
        (["m", "prompts=a", "out=b", "--json"], "out of prompts=FILE is JSON anyway; leave --json out."),
        (["m", "system=x"], "system is of conversations; set chat=true as well."),
        (["m", "x", "logprobs=1"], "logprobs are shown with --json; add it, or leave logprobs out."),
    ],
    ids=repr,
)
def test_fault_is_one_line_when_words_are_wrong(words, message):
    with pytest.raises(ConfigError) as caught:
        GenerationCommand.of(words)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_ends_a_text_is_refused_when_it_is_empty():
    with pytest.raises(InputError, match="stop holds an empty text"):
        GenerationCommand.of(["m", "x", "stop="])


@pytest.mark.parametrize(
    ("words", "is_wanted"),
    [([], True), (["help"], True), (["m", "-h"], True), (["m", "help"], False), (["m", "--", "--help"], False)],
    ids=repr,
)
def test_usage_is_wanted_when_it_is_no_prompt(words, is_wanted):
    assert wants_help(words) is is_wanted
