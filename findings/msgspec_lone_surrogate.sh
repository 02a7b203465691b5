#!/usr/bin/env bash
# msgspec calls a complete JSON document truncated where its last string ends with half of a surrogate pair.
#
# JSON (RFC 8259, sections 7 and 8.2) allows "\ud83d", and well-formed JSON.stringify (ES2019) writes just that for a
# text that was cut in the middle of an emoji, as text.slice(0, n) does. With fewer than six bytes after it, the complete
# document is refused with "Input data was truncated", which sends its reader to look for a lost end of a file or of a
# request; with more bytes after it the message speaks of surrogates.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0
"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys
from importlib.metadata import version

import msgspec

print("python", sys.version.split()[0], "msgspec", version("msgspec"))


def said(content: bytes) -> str:
    try:
        return f"read as {ascii(msgspec.json.decode(content))}"
    except msgspec.DecodeError as error:
        return str(error)


whole = json.dumps({"text": "cut here: \ud83d"}).encode()
followed = json.dumps({"text": "cut here: \ud83d", "number": 1}).encode()
print("document :", whole.decode(), "- json reads it as", ascii(json.loads(whole)))
print("expected : read as json does, or a message that names the lone surrogate, as where more follows:", said(followed))
print("seen     :", said(whole))
sys.exit(0 if said(whole) == "Input data was truncated" and "surrogate" in said(followed) else 1)
PYTHON
