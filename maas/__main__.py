"""`maas VERB …` is the same as `python -m maas.VERB …`."""

import sys
from importlib import import_module
from pathlib import Path

from maas import __version__
from maas.outcomes import USAGE_STATUS
from maas.shell.verbs import PACKAGES, VERBS, overview
from maas.suggesting import hint_of

HELP, VERSION = ("-h", "--help", "help"), ("--version", "version")


def main() -> None:
    """Passes the arguments on to the entry that the first one names."""
    verb, arguments = (sys.argv[1] if len(sys.argv) > 1 else "--help"), sys.argv[2:]
    if verb in VERSION:
        sys.stdout.write(f"maas {__version__}\n")
        return
    if verb in HELP and arguments[:1] and arguments[0] in VERBS:
        verb, arguments = arguments[0], ["--help"]
    if verb not in VERBS:
        if verb not in HELP:
            sys.stderr.write(f"There is no verb {verb!r}.{hint_of(verb, VERBS)} maas --help lists them.\n")
            sys.exit(USAGE_STATUS)
        sys.stdout.write(f"{overview()}\n")
        sys.exit(0)
    sys.path.insert(0, str(Path.cwd()))  # the user's own parts are found as with `python -m`
    import_module(f"maas.{verb}.__main__" if verb in PACKAGES else f"maas.{verb}").main(arguments)


if __name__ == "__main__":
    main()
