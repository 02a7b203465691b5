"""OpenAI's responses by OpenAI's own client on a real server: texts, events in their order, and what is refused."""

import json
from typing import Annotated, Literal

import openai
import pydantic
import pytest

from maas.runtime.bundle import Bundle
from maas.serving.protocols.openai.responses import ResponsesOperation
from maas.serving.protocols.operations import Request

INSTRUCTIONS = "Be terse."
SAMPLED = {"temperature": 1.0, "top_p": 0.9}
ORDER = [
    "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
    "response.output_text.delta", "response.output_text.done", "response.content_part.done",
    "response.output_item.done",
]  # fmt: skip


class Pet(pydantic.BaseModel):
    kind: Literal["cat", "dog"]
    age: Annotated[int, pydantic.Field(ge=0, le=30)]


@pytest.fixture(scope="module")
def bundle(generating_folder):
    return Bundle.open(generating_folder)


@pytest.fixture(scope="module")
def client(generating_server):
    with openai.OpenAI(base_url=f"{generating_server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def repository(asking, generating_folder):
    return asking.repository_of(generating_folder)


def test_response_is_the_bundles_text_when_input_is_a_text_or_messages(client, bundle):
    messages = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": "write"}]
    expected = bundle.generate(messages, max_tokens=20)
    parts = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "write"}]}]
    for given in ("write", parts):
        found = client.responses.create(
            model="tiny", instructions=INSTRUCTIONS, input=given, max_output_tokens=20, temperature=0
        )
        assert found.output_text == expected.text
        assert (found.status, found.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert (found.usage.input_tokens, found.usage.output_tokens) == (expected.prompt_tokens, len(expected.tokens))
        assert (found.instructions, found.max_output_tokens, found.temperature) == (INSTRUCTIONS, 20, 0)
        assert found.store is False
    assert found.usage.input_tokens_details.cached_tokens == found.usage.input_tokens - 2  # the same prompt as before


def test_response_is_complete_when_the_text_has_come_to_its_end(client, bundle):
    form = {"structured_outputs": {"choice": ["yes", "no"]}}
    found = client.responses.create(model="tiny", input="write", extra_body=form, **SAMPLED)
    assert found.output_text in ("yes", "no")
    assert (found.status, found.incomplete_details, found.output[0].status) == ("completed", None, "completed")


@pytest.mark.parametrize("form", [{}, {"choice": ["yes", "no"]}], ids=str)
def test_events_come_in_openais_order_when_the_response_is_streamed(client, form):
    given = {"model": "tiny", "input": "write", "max_output_tokens": 20, "temperature": 0}
    extra = {"extra_body": {"structured_outputs": form}} if form else {}
    whole = client.responses.create(**given, **extra)
    events = list(client.responses.create(**given, **extra, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert list(dict.fromkeys(event.type for event in events)) == [*ORDER, f"response.{whole.status}"]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text == events[-4].text
    last = events[-1].response
    assert (last.output_text, last.usage, last.status) == (whole.output_text, whole.usage, whole.status)
    assert {last.id} == {event.response.id for event in events[:2]}
    assert last.output[0].id == events[2].item.id == events[-2].item.id


def test_own_helpers_accumulate_and_parse_when_a_format_is_given(client):
    given = {"model": "tiny", "input": "write", "max_output_tokens": 60, "temperature": 1.0}
    assert isinstance(client.responses.parse(**given, text_format=Pet).output_parsed, Pet)
    with client.responses.stream(**given, text_format=Pet) as stream:
        found = stream.get_final_response()
    assert isinstance(found.output_parsed, Pet)
    assert found.text.format.type == "json_schema"


def test_reply_may_be_sent_back_as_input(client):
    first = client.responses.create(model="tiny", input="write", max_output_tokens=5)
    history = [{"role": "user", "content": "write"}, *first.output, {"role": "developer", "content": "on"}]
    found = client.responses.create(model="tiny", input=history, max_output_tokens=5)
    assert found.usage.input_tokens > first.usage.input_tokens


def test_beginning_is_left_out_when_the_input_is_too_long_and_may_be_cut(client):
    given = {"model": "tiny", "input": "x" * 300, "max_output_tokens": 10}
    with pytest.raises(openai.BadRequestError, match="at most 128, the model's context"):
        client.responses.create(**given)
    assert client.responses.create(**given, truncation="auto").usage.input_tokens == 118


def test_fault_is_an_event_when_the_stream_has_begun(repository):
    operation = ResponsesOperation()
    body = json.dumps({"input": "write", "stream": True}).encode()
    call = operation.parse(Request(body=body), repository.snapshot)
    events = operation.events(call, repository.snapshot.generating[0])
    fault = events.fault(json.dumps(operation.fault("deadline_exceeded", "Too late.")).encode()).decode()
    name, data = fault.strip().split("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: ")) == {
        "type": "error", "sequence_number": 0, "code": "deadline_exceeded", "message": "Too late.", "param": None,
    }  # fmt: skip


BAD = {
    "store": ({"store": True}, "store is not done here: nothing is kept"),
    "previous": ({"previous_response_id": "resp_1"}, "send the messages so far as input"),
    "conversation": ({"conversation": "conv_1"}, "conversation is not done here"),
    "tools": ({"tools": [{"type": "web_search"}]}, "use /v1/chat/completions"),
    "choice": ({"tool_choice": "required"}, "there are no tools here"),
    "background": ({"background": True}, "background is not done here"),
    "reasoning": ({"reasoning": {"effort": "low"}}, "reasoning is not done here"),
    "include": ({"include": ["message.output_text.logprobs"]}, "include is not done here"),
    "verbosity": ({"text": {"verbosity": "low"}}, "text.verbosity is not done here"),
    "image": ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "'input_image'"),
    "empty": ({"input": []}, "input"),
    "tokens": ({"max_output_tokens": 0}, "max_tokens"),
    "field": ({"seeed": 1}, "seeed"),
}


@pytest.mark.parametrize("case", BAD)
def test_request_is_refused_in_openais_form_when_it_cannot_be_done(asking, repository, case):
    wrong, cause = BAD[case]
    response = asking.ask(repository, "POST", "/v1/responses", json={"input": "write", **wrong})
    assert response.status_code == 400
    assert cause in response.json()["error"]["message"]
