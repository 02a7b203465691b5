"""`maas VERB …` is the same as `python -m maas.VERB …`."""

import sys
from pathlib import Path
from runpy import run_module

VERBS = {
    "run": "takes a recipe through the whole line",
    "doctor": "examines a recipe for classic mistakes",
    "plan": "tells what a recipe will take: minutes, memory, bytes",
    "train": "trains a recipe's net",
    "compress": "makes the newest checkpoint smaller",
    "export": "turns the newest checkpoint into a bundle",
    "verify": "measures the newest bundle again",
    "compare": "holds models against each other on the same rows",
    "register": "makes a version of the newest bundle",
    "serve": "answers over HTTP",
}


def main() -> None:
    """Hands over to the entry that the first argument names."""
    if len(sys.argv) < 2 or sys.argv[1] not in VERBS:
        known = "\n".join(f"  {verb:9} {what}" for verb, what in VERBS.items())
        asked = sys.argv[1] if len(sys.argv) > 1 else "--help"
        found = "" if asked in ("-h", "--help", "help") else f"There is no verb {asked!r}.\n"
        (sys.stderr if found else sys.stdout).write(f"{found}maas VERB key=value …\n{known}\n")
        sys.exit(2 if found else 0)
    verb = sys.argv.pop(1)
    sys.path.insert(0, str(Path.cwd()))  # parts of one's own are found as with `python -m`
    run_module(f"maas.{verb}", run_name="__main__", alter_sys=True)  # by whose name other processes are started


if __name__ == "__main__":
    main()
