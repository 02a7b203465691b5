"""Texts, forms and calls of tools by LiteLLM: `text_litellm.py URL FILE`."""

import json
import os
import sys
from pathlib import Path

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would download one

import litellm

known = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
server = {"api_base": f"{sys.argv[1]}/v1", "api_key": "none", "num_retries": 0}
asked = {"model": "openai/tiny", "messages": known["messages"], "temperature": 0, "max_tokens": 24, **server}

assert litellm.completion(**asked).choices[0].message.content == known["answer"]
chunks = litellm.completion(**asked, stream=True, stream_options={"include_usage": True})
assert "".join(one.delta.content or "" for chunk in chunks for one in chunk.choices) == known["answer"]
schema = {"type": "object", "properties": {"s": {"enum": [1, 2]}}, "required": ["s"], "additionalProperties": False}
form = {"type": "json_schema", "json_schema": {"name": "wait", "schema": schema, "strict": True}}
assert json.loads(litellm.completion(**asked, response_format=form).choices[0].message.content)["s"] in (1, 2)
tool = {"type": "function", "function": {"name": "wait", "parameters": schema}}
named = {"type": "function", "function": {"name": "wait"}}
(call,) = litellm.completion(**asked, tools=[tool], tool_choice=named).choices[0].message.tool_calls
assert json.loads(call.function.arguments)["s"] in (1, 2)
text = litellm.text_completion(
    model="text-completion-openai/tiny", prompt=known["prompts"][0], temperature=0, max_tokens=24, **server
)
assert text.choices[0].text == known["continuation"]
vector = litellm.embedding(model="openai/vectors", input=["很好"], **server).data[0]["embedding"]
assert max(abs(one - other) for one, other in zip(vector, known["vector"], strict=True)) < 1e-6
print("ok")
