"""Continues prompts with llama.cpp, and prints how many have the tokens that are known: `llama_cpp.py MODEL FILE`."""

import json
import sys
import urllib.request
from pathlib import Path

import xllamacpp

known = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel, params.cpuparams.n_threads = 512, 1, 1  # several threads wait for each other, spinning
params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
server = xllamacpp.Server(params)


def reply_to(path: str, **body: object) -> dict:
    request = urllib.request.Request(
        f"{server.listening_address}{path}", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


read = continued = 0
for one in known:
    prompt = reply_to("/tokenize", content=one["prompt"], add_special=True, parse_special=True)["tokens"]
    read += prompt == one["prompt_tokens"]
    found = reply_to(
        "/completion", prompt=one["prompt_tokens"], n_predict=one["most"], temperature=0, top_k=1, return_tokens=True,
        cache_prompt=False,
    )  # fmt: skip
    continued += (
        found["tokens"][: len(one["tokens"])] == one["tokens"] and len(found["tokens"]) <= len(one["tokens"]) + 1
    )
print(len(known), read, continued)
