"""`python -m maas.registry.resolve models:/NAME@ALIAS` prints where a version's bundle lies, as JSON.

A process that must stay small, such as a server, asks this one instead of importing mlflow.
"""

import sys

import msgspec

from maas.errors import MaasError

try:
    from maas.registry.connection import default_tracking_uri
    from maas.registry.versions import resolve
except ModuleNotFoundError as missing:
    sys.stderr.write(f"{missing.name} is not installed. In a checkout of maas: pip install '.[registry]'\n")
    sys.exit(2)


def main() -> int:
    """Prints folder, name and version; on failure one line to standard error, and status 2."""
    try:
        folder, version = resolve(sys.argv[1], default_tracking_uri())
    except MaasError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    answer = {"folder": str(folder), "name": version.name, "version": version.version}
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
