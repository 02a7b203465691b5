"""`make help` shows what can be made."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_help_lists_every_target_with_a_description_when_it_is_made():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY:(.*)$", makefile, flags=re.MULTILINE)[1].split())
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    shown = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert set(shown) == targets
    assert {"train", "compress", "export", "verify", "register"} <= targets
