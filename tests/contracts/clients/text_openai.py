"""Texts, forms and calls of tools by OpenAI's client: `text_openai.py URL FILE`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import openai
import pydantic

known = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
asked = {"model": "tiny", "messages": known["messages"], "temperature": 0}


class Pet(pydantic.BaseModel):
    kind: Literal["cat", "dog"]
    name: Annotated[str, pydantic.Field(max_length=6)]


class Wait(pydantic.BaseModel):
    s: Literal[1, 2]


with openai.OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none", max_retries=0) as client:
    assert [one.id for one in client.models.list()] == ["vectors", "tiny"]
    chat = client.chat.completions
    assert chat.create(**asked, max_completion_tokens=24).choices[0].message.content == known["answer"]
    chunks = list(chat.create(**asked, max_completion_tokens=24, stream=True, stream_options={"include_usage": True}))
    assert "".join(one.delta.content or "" for chunk in chunks for one in chunk.choices) == known["answer"]
    assert chunks[-1].usage.completion_tokens > 0
    stop = known["answer"][9:12]
    with chat.stream(**asked, max_completion_tokens=24, stop=stop) as stream:
        content = stream.get_final_completion().choices[0].message.content
    assert content == known["answer"][: known["answer"].index(stop)]
    text = client.completions.create(model="tiny", prompt=known["prompts"][0], max_tokens=24, temperature=0)
    assert text.choices[0].text == known["continuation"]
    for seed in range(20):
        pet = chat.parse(**{**asked, "temperature": 1.0}, seed=seed, response_format=Pet).choices[0].message.parsed
        assert isinstance(pet, Pet)
    tool = openai.pydantic_function_tool(Wait, name="wait")
    call = chat.parse(**asked, tools=[tool], tool_choice="required").choices[0].message.tool_calls[0]
    assert isinstance(call.function.parsed_arguments, Wait)
    response = client.responses.create(model="tiny", input=known["messages"], max_output_tokens=24, temperature=0)
    assert response.output_text == known["answer"]
    assert isinstance(client.responses.parse(model="tiny", input="write", text_format=Pet).output_parsed, Pet)
    form = {"structured_outputs": {"choice": ["yes", "no"]}}
    with client.responses.stream(model="tiny", input=known["messages"], extra_body=form) as events:
        assert events.get_final_response().output_text in ("yes", "no")
    vector = client.embeddings.create(model="vectors", input="很好").data[0].embedding
    assert max(abs(one - other) for one, other in zip(vector, known["vector"], strict=True)) < 1e-6
    refusal = ""
    try:
        chat.create(**asked, tools=[tool], tool_choice="auto")
    except openai.BadRequestError as error:
        refusal = error.message
    assert "takes no tools" in refusal
print("ok")
