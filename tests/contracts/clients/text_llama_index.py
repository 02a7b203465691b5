"""Texts by LlamaIndex's client of OpenAI-like servers: `text_llama_index.py URL FILE`."""

import json
import sys
from pathlib import Path

from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.openai_like import OpenAILike

known = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
settings = {
    "model": "tiny", "api_base": f"{sys.argv[1]}/v1", "api_key": "none", "context_window": 512, "temperature": 0,
    "max_tokens": 24, "max_retries": 0,
}  # fmt: skip
messages = [ChatMessage(role=one["role"], content=one["content"]) for one in known["messages"]]

chat = OpenAILike(is_chat_model=True, **settings)
assert chat.chat(messages).message.content == known["answer"]
assert "".join(part.delta or "" for part in chat.stream_chat(messages)) == known["answer"]
plain = OpenAILike(is_chat_model=False, **settings)
assert plain.complete(known["prompts"][0]).text == known["continuation"]
assert "".join(part.delta or "" for part in plain.stream_complete(known["prompts"][0])) == known["continuation"]
print("ok")
