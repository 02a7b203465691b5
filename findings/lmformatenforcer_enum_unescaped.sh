#!/usr/bin/env bash
# lm-format-enforcer 0.11.3 leaves a model no way to write an enum's text with a quotation mark or a line break in it: it
# enforces "5" for the member 5" pipe, which is no member, and a line break as it is, which is no JSON.
#
# Members are compared with the text's characters as they are written. JSON (RFC 8259, section 7) has both escaped, and
# JSON Schema's enum compares values. What json.dumps gives for the member is refused at the backslash. Escapes in a plain
# string are right, so that only schemas with such members show it.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lm-format-enforcer==0.11.3 interegular==0.3.3 pydantic==2.14.3
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import importlib.metadata
import json
import sys

from lmformatenforcer import JsonSchemaParser


def is_allowed(schema, text):
    """Whether a model that is held to the schema can write the text, one character after the other, and end there."""
    parser = JsonSchemaParser(schema)
    for character in text:
        if character not in parser.get_allowed_characters():
            return False
        parser = parser.add_character(character)
    return parser.can_end()


print("lm-format-enforcer", importlib.metadata.version("lm-format-enforcer"))
seen = []
for member, other in (("pipe", '"pip"'), ('5" pipe', '"5"'), ("two\nlines", '"two\nlines"')):
    schema = {"type": "string", "enum": [member]}
    right, any_string = json.dumps(member), {"type": "string"}
    seen.append((is_allowed(schema, right), is_allowed(schema, other)))
    print(f"{member!r}: expected {right!r} allowed, {other!r} not; seen {seen[-1][0]} and {seen[-1][1]}")
    assert is_allowed(any_string, right), "the same text without an enum"
sys.exit(0 if seen == [(True, False), (False, True), (False, True)] else 1)
PY
