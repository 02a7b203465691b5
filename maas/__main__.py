"""`maas VERB …` is the same as `python -m maas.VERB …`."""

import sys
from importlib import import_module
from pathlib import Path

VERBS = {
    "new": "looks at data of your own, and writes a recipe for it",
    "run": "takes a recipe, or data of your own, through the whole line",
    "doctor": "examines a recipe for classic mistakes",
    "plan": "estimates what a recipe will take: minutes, memory, bytes",
    "train": "trains a recipe's net",
    "compress": "makes the newest checkpoint, or a model of another framework, smaller",
    "export": "turns the newest checkpoint into a bundle",
    "verify": "measures the newest bundle again",
    "compare": "compares models on the same rows",
    "register": "makes a version of the newest bundle",
    "generate": "continues texts, or answers in a talk",
    "handover": "writes a model for another engine",
    "serve": "answers over HTTP",
    "bench": "tests a server under load",
    "dashboards": "writes a dashboard and alerts for a server",
}
PACKAGES = ("doctor", "handover")
"""Entries that are packages; the others are modules."""


def main() -> None:
    """Passes the arguments on to the entry that the first one names."""
    verb, arguments = (sys.argv[1] if len(sys.argv) > 1 else "--help"), sys.argv[2:]
    if verb not in VERBS:
        known = "\n".join(f"  {name:10} {what}" for name, what in VERBS.items())
        found = "" if verb in ("-h", "--help", "help") else f"There is no verb {verb!r}.\n"
        (sys.stderr if found else sys.stdout).write(f"{found}maas VERB key=value …\n{known}\n")
        sys.exit(2 if found else 0)
    sys.path.insert(0, str(Path.cwd()))  # the user's own parts are found as with `python -m`
    import_module(f"maas.{verb}.__main__" if verb in PACKAGES else f"maas.{verb}").main(arguments)


if __name__ == "__main__":
    main()
