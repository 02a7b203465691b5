"""Texts, forms and calls of tools by LangChain: `text_langchain.py URL FILE`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

known = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
server = {"base_url": f"{sys.argv[1]}/v1", "api_key": "none", "max_retries": 0}


class Pet(pydantic.BaseModel):
    """A pet."""

    kind: Literal["cat", "dog"]
    name: Annotated[str, pydantic.Field(max_length=6)]


class Wait(pydantic.BaseModel):
    """Waits."""

    s: Literal[1, 2]


model = ChatOpenAI(model="tiny", temperature=0, max_tokens=24, **server)
question = [HumanMessage(known["messages"][0]["content"])]
answer = model.invoke(question)
assert answer.content == known["answer"], answer
assert answer.usage_metadata["output_tokens"] > 0
assert "".join(chunk.content for chunk in model.stream(question)) == known["answer"]
warm = ChatOpenAI(model="tiny", temperature=1, max_tokens=120, **server)
for _ in range(10):
    assert isinstance(warm.with_structured_output(Pet, method="json_schema", strict=True).invoke(question), Pet)
assert isinstance(warm.with_structured_output(Pet, method="function_calling", strict=True).invoke(question), Pet)
called = warm.bind_tools([Wait], tool_choice="required", strict=True).invoke(question)
(call,) = called.tool_calls
assert (call["name"], call["args"]["s"] in (1, 2)) == ("Wait", True)
assert model.invoke([*question, called, ToolMessage("done", tool_call_id=call["id"])]).usage_metadata
streamed = None
for chunk in warm.bind_tools([Wait], tool_choice="required", strict=True).stream(question):
    streamed = chunk if streamed is None else streamed + chunk
assert streamed.tool_calls[0]["name"] == "Wait"
assert streamed.tool_calls[0]["args"]["s"] in (1, 2)
responses = ChatOpenAI(model="tiny", temperature=0, max_tokens=24, use_responses_api=True, **server)
assert responses.invoke(question).text == known["answer"]
vectors = OpenAIEmbeddings(model="vectors", check_embedding_ctx_length=False, **server)
found = vectors.embed_query("很好")
assert max(abs(one - other) for one, other in zip(found, known["vector"], strict=True)) < 1e-6
print("ok")
