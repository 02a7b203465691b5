"""Tools of chat completions: calls of the functions' schemas, whole and streamed, and calls that a model writes."""

import json
from itertools import pairwise

import jsonschema
import numpy as np
import openai
import pytest

from maas.serving.protocols.openai.tool_calls import ReplyPart, reader_for, reply_parts
from maas.serving.protocols.openai.tools import FunctionDefinition, FunctionTool, tool_use

MESSAGES = [{"role": "user", "content": "write"}]
SCHEMAS = {
    "turn_on": {
        "type": "object",
        "properties": {"lamp": {"$ref": "#/$defs/lamp"}, "level": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["lamp", "level"],
        "additionalProperties": False,
        "$defs": {"lamp": {"enum": ["left", "right"]}},
    },
    "wait": {"type": "object", "properties": {"s": {"enum": [1, 2]}}, "required": ["s"], "additionalProperties": False},
}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": one}} for name, one in SCHEMAS.items()]
GIVEN = {"model": "tiny", "messages": MESSAGES, "tools": TOOLS, "max_completion_tokens": 60, "temperature": 1.0}
WAIT = {"type": "function", "function": {"name": "wait"}}


@pytest.fixture(scope="module")
def server(start, bundles, tmp_path_factory):
    """It has a model whose template takes tools, and which has more room for them."""
    folder = bundles.generating_bundle(tmp_path_factory.mktemp("tools") / "bundle", reads_tools=True)
    with start(f"model={folder}") as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def repository(asking, bundles, tmp_path_factory):
    """Its model's template takes no tools."""
    return asking.repository_of(bundles.generating_bundle(tmp_path_factory.mktemp("plain") / "bundle", positions=512))


def use_of(choice="auto", *, is_parallel=True):
    tools = [FunctionTool(FunctionDefinition(name, None, schema)) for name, schema in SCHEMAS.items()]
    return tool_use(tools, choice, is_parallel=is_parallel, reads_tools=True)


def whole(parts: list[ReplyPart]) -> tuple[str, dict[int, tuple[str, str]]]:
    """Returns the content and the calls that parts make together."""
    content, calls = "", {}
    for part in parts:
        if part.call is None:
            content += part.text
        else:
            name, arguments = calls.get(part.call, (part.name, ""))
            calls[part.call] = name, arguments + part.text
    return content, calls


@pytest.mark.parametrize("seed", range(8))
def test_call_has_the_form_of_its_function_when_one_is_required(client, seed):
    found = client.chat.completions.create(**GIVEN, tool_choice="required", seed=seed).choices[0]
    (call,) = found.message.tool_calls
    assert (found.finish_reason, found.message.content, call.type) == ("tool_calls", None, "function")
    jsonschema.validate(json.loads(call.function.arguments), SCHEMAS[call.function.name])


def test_both_functions_are_called_when_seeds_differ(client):
    found = client.chat.completions.create(**GIVEN, tool_choice="required", seed=0, n=16)
    assert {one.message.tool_calls[0].function.name for one in found.choices} == SCHEMAS.keys()
    assert len({one.message.tool_calls[0].id for one in found.choices}) == 16


def test_arguments_are_those_of_the_function_when_it_is_named(client):
    found = client.chat.completions.create(**GIVEN, tool_choice=WAIT, seed=1).choices[0]
    (call,) = found.message.tool_calls
    assert (found.finish_reason, call.function.name) == ("stop", "wait")
    assert json.loads(call.function.arguments) in ({"s": 1}, {"s": 2})


@pytest.mark.parametrize("choice", ["required", WAIT], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_deltas_make_the_whole_call_when_it_is_streamed(client, choice, seed):
    given = {**GIVEN, "tool_choice": choice, "seed": seed}
    expected = client.chat.completions.create(**given).choices[0]
    with client.chat.completions.stream(**given) as stream:
        found = stream.get_final_completion().choices[0]
    function = expected.message.tool_calls[0].function
    assert (found.message.tool_calls[0].function.name, found.finish_reason) == (function.name, expected.finish_reason)
    assert found.message.tool_calls[0].function.arguments == function.arguments


def test_cut_call_is_the_beginning_of_its_arguments_when_tokens_run_out(client):
    given = {**GIVEN, "tool_choice": {"type": "function", "function": {"name": "turn_on"}}, "max_completion_tokens": 5}
    found = client.chat.completions.create(**given, seed=1).choices[0]
    assert found.finish_reason == "length"
    assert found.message.tool_calls[0].function.arguments.startswith('{"l')


def test_model_writes_a_text_when_it_is_free_to_call_or_may_not(client):
    free = client.chat.completions.create(**GIVEN, seed=5)
    again = client.chat.completions.create(**GIVEN, seed=5, tool_choice="auto", stream=True)
    deltas = [chunk.choices[0].delta for chunk in again]
    assert "".join(delta.content or "" for delta in deltas) == free.choices[0].message.content
    none = client.chat.completions.create(**GIVEN, seed=5, tool_choice="none")
    plain = client.chat.completions.create(**{**GIVEN, "tools": []}, seed=5)
    assert none.choices[0].message.content == plain.choices[0].message.content
    assert none.usage.prompt_tokens == plain.usage.prompt_tokens < free.usage.prompt_tokens


def test_calls_and_results_may_be_sent_back(client):
    call = client.chat.completions.create(**GIVEN, tool_choice=WAIT, seed=1).choices[0].message
    result = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "done"}
    found = client.chat.completions.create(**{**GIVEN, "messages": [*MESSAGES, call.model_dump(), result]}, seed=1)
    assert found.usage.prompt_tokens > 0
    bare = {**GIVEN, "messages": [*MESSAGES, {"role": "assistant", "tool_calls": None}]}
    with pytest.raises(openai.BadRequestError, match="Message 1 has no content; give it a text"):
        client.chat.completions.create(**bare)


TEXTS = {
    "hermes": ('<tool_call>\n{"name": "wait", "arguments": {"s": 1}}\n</tool_call>', "", [("wait", '{"s":1}')]),
    "llama": ('{"name": "wait", "parameters": {"s": 2}}', "", [("wait", '{"s":2}')]),
    "list": ('[{"name": "wait", "arguments": "{}"}, {"name": "wait", "arguments": {}}]', "", [("wait", "{}")] * 2),
    "two": (
        (
            'Well.\n<tool_call>{"name": "wait", "arguments": {"s": 1}}</tool_call>\n'
            '<tool_call>{"name": "turn_on", "arguments": {"level": 3}}</tool_call>'
        ),
        "Well.\n",
        [("wait", '{"s":1}'), ("turn_on", '{"level":3}')],
    ),
    "unknown function": ('{"name": "fly", "arguments": {}}', '{"name": "fly", "arguments": {}}', []),
    "no JSON": ("<tool_call>wait</tool_call>", "<tool_call>wait</tool_call>", []),
    "other JSON": ('{"answer": 3}', '{"answer": 3}', []),
    "text": ("a < b <tool", "a < b <tool", []),
    "blank": (" \n", " \n", []),
}


@pytest.mark.parametrize("case", TEXTS)
def test_calls_are_found_wherever_a_text_is_divided_when_the_model_writes_them(case):
    text, content, calls = TEXTS[case]
    assert whole(reply_parts(text, use_of(), is_whole=True)) == (content, dict(enumerate(calls)))
    random = np.random.default_rng(len(text))
    for _ in range(20):
        cuts = sorted(random.integers(0, len(text) + 1, 4).tolist())
        reader = reader_for(use_of())
        parts = [part for start, end in pairwise([0, *cuts, len(text)]) for part in reader.feed(text[start:end])]
        assert whole([*parts, *reader.end(is_whole=True)]) == (content, dict(enumerate(calls)))


def test_first_call_alone_is_made_when_they_may_not_be_parallel():
    text, _, calls = TEXTS["two"]
    assert whole(reply_parts(text, use_of(is_parallel=False), is_whole=True))[1] == {0: calls[0]}


@pytest.mark.parametrize("is_whole", [True, False])
def test_required_call_is_divided_into_name_and_arguments_wherever_it_is_cut(is_whole):
    text = '{"name": "turn_on", "arguments": {"lamp": {"a": "}"}}}'
    use = use_of("required")
    arguments = '{"lamp": {"a": "}"}}' + ("" if is_whole else "}")
    for cut in range(len(text)):
        reader = reader_for(use)
        parts = [*reader.feed(text[:cut]), *reader.feed(text[cut:]), *reader.end(is_whole=is_whole)]
        assert whole(parts) == ("", {0: ("turn_on", arguments)})
    assert whole(reply_parts('{"name": "tu', use, is_whole=False)) == ('{"name": "tu', {})


BAD = {
    "auto": ({"tools": TOOLS}, "The model's chat template takes no tools"),
    "no tools": ({"tool_choice": "required"}, "tool_choice wants a call, and there are no tools"),
    "unknown": (
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "x"}}},
        "tool_choice names 'x'; the tools are turn_on, wait.",
    ),
    "twice": ({"tools": [*TOOLS, *TOOLS], "tool_choice": "required"}, "Two tools have one name"),
    "name": ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "name"),
    "type": ({"tools": [{"type": "web_search"}]}, "Invalid value 'web_search'"),
    "format": (
        {"tools": TOOLS, "tool_choice": "required", "response_format": {"type": "json_object"}},
        "A text is a call of a tool or has the response's format",
    ),
    "schema": (
        {
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"not": {}}}}],
            "tool_choice": "required",
        },
        "The text cannot be given this form",
    ),
    "logprobs": (
        {"tools": TOOLS, "tool_choice": "required", "logprobs": True},
        "logprobs are not reported beside tools",
    ),
    "functions": ({"functions": [{}]}, "functions is not done here: it is replaced by tools"),
}


@pytest.mark.parametrize("case", BAD)
def test_tools_are_refused_in_one_line_when_they_cannot_be_used(asking, repository, case):
    wrong, cause = BAD[case]
    response = asking.ask(repository, "POST", "/v1/chat/completions", json={"messages": MESSAGES, **wrong})
    assert response.status_code == 400
    assert cause in response.json()["error"]["message"]


def test_functions_are_in_the_prompt_when_the_template_takes_no_tools(asking, repository):
    given = {"messages": MESSAGES, "max_tokens": 40, "seed": 1}
    plain = asking.ask(repository, "POST", "/v1/chat/completions", json=given).json()
    tools = {"tools": TOOLS, "tool_choice": WAIT}
    found = asking.ask(repository, "POST", "/v1/chat/completions", json={**given, **tools}).json()
    assert found["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "wait"
    assert found["usage"]["prompt_tokens"] > plain["usage"]["prompt_tokens"] + 50
