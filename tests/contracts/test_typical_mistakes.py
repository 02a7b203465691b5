"""What people type wrongly in their first hour, in the shell and in a notebook: each is answered by one line.

A mistake of the shell ends with status 2, prints that line to standard error, and leaves no file that was not there.
"""

import re
import shutil
import signal
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from PIL import Image

import maas
import maas.__main__
from maas.errors import MaasError
from maas.fitting import config_for
from tests.unit.workbook_files import write_workbook

ROWS = 40
AGES = [18 + 7 * place % 50 for place in range(ROWS)]
FRAME = pd.DataFrame({"age": AGES, "city": ["Ulm", "Köln"] * 20, "bought": ["yes", "no", "no", "yes"] * 10})
X = np.arange(3.0 * ROWS).reshape(ROWS, 3) % 11
Y = np.arange(ROWS) % 2
FORMATS = ".csv, .tsv, .json, .jsonl, .parquet, .xlsx, .xls, .xlsb, .ods, plain or .gz/.zst/.bz2/.xz/.zip"
PICTURES = ".jpg/.jpeg/.png/.webp/.bmp/.gif"
FIT = "it takes a file or folder, a frame, a data set of datasets, an array (N, D) of numbers, or a list of N texts."
SECTOR, END, FREE = 512, 0xFFFFFFFE, 0xFFFFFFFF


def protected_workbook(path: Path) -> None:
    """Writes the container that Excel writes for a workbook with a password, with nothing in its streams.

    Source: [MS-CFB] 2.2, 2.3, 2.6; [MS-OFFCRYPTO] 2.3.4
    """

    def number(*values: int) -> bytes:
        return b"".join(value.to_bytes(4, "little") for value in values)

    def entry(name: str, kind: int, left: int, child: int, start: int, size: int) -> bytes:
        text = (name + "\0").encode("utf-16-le") if name else b""
        links = number(left, FREE, child)
        return text.ljust(64, b"\0") + bytes([len(text), 0, kind, 1]) + links + bytes(36) + number(start, size, 0)

    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + bytes.fromhex("3e000300feff0900060000000000")
    head += bytes(2) + number(0, 1, 1, 0, 4096, END, 0, END, 0, 0)
    table = number(0xFFFFFFFD, END, *range(3, 10), END, *range(11, 18), END).ljust(SECTOR, b"\xff")
    entries = [
        entry("Root Entry", 5, FREE, 1, END, 0),
        entry("EncryptionInfo", 2, 2, FREE, 2, 4096),
        entry("EncryptedPackage", 2, FREE, FREE, 10, 4096),
        entry("", 0, FREE, FREE, 0, 0),
    ]
    path.write_bytes(head.ljust(SECTOR, b"\xff") + table + b"".join(entries) + bytes(16 * SECTOR))


def write_pictures(folder: Path, labels: tuple[str, ...]) -> None:
    for place, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        Image.new("L", (8, 8), 40 * place).save(folder / label / "0.png")


def write_data(folder: Path) -> None:
    """Writes the files and folders that the mistakes are about."""
    FRAME.to_csv(folder / "good.csv", index=False)
    FRAME.head(1).to_csv(folder / "one_row.csv", index=False)
    FRAME.assign(bought="yes").to_csv(folder / "one_class.csv", index=False)
    FRAME.assign(bought=None).to_csv(folder / "no_target.csv", index=False)
    FRAME.assign(city="鞋子很好穿").to_csv(folder / "utf8.csv", index=False)
    FRAME.assign(city="鞋子很好穿").to_csv(folder / "gb.csv", index=False, encoding="gb18030")
    (folder / "header.csv").write_text("a,b\n")
    (folder / "empty.csv").write_text("")
    (folder / "nameless.csv").write_text("5,5,a\n4,3,b\n" * 9)
    (folder / "ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
    (folder / "words.parquet").write_text("a,b\n")
    (folder / "fake.xlsx").write_text("a,b\n")
    write_workbook(folder / "book.xlsx", {"Data": [["a", "b"], [1, 2]], "Notes": [["x"]]})
    protected_workbook(folder / "secret.xlsx")
    with zipfile.ZipFile(folder / "pictures.zip", "w") as archive:
        archive.writestr("cat/0.png", b"")
    (folder / "docs").mkdir()
    (folder / "docs" / "readme.txt").write_text("x")
    write_pictures(folder / "cats", ("cat",))
    write_pictures(folder / "split" / "train", ("cat", "dog"))
    write_pictures(folder / "split", ("cat",))
    (folder / "0.yaml").write_text("defaults: [digits_mlp]\ntrainer: {max_epoch: 1}\n")
    (folder / "broken.yaml").write_text("name: [a\n")
    (folder / "models.yaml").write_text("models: [{model: sums, btach_size: 3}]\n")
    (folder / "rows.csv").write_text("price,area,size\n1.5,20,S\n")
    (folder / "renamed.csv").write_text("Price,area,size\n1.5,20,S\n")
    (folder / "words.csv").write_text("price,area,size\ncheap,20,S\n")
    (folder / "out.csv").write_text("mine\n")


@pytest.fixture(scope="module")
def scene(bundles, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mistakes")
    write_data(folder)
    bundles.table_bundle(folder / "sums")
    bundles.text_bundle(folder / "mood")
    bundles.array_bundle(folder / "digits")
    bundles.generating_bundle(folder / "writer")
    shutil.copytree(folder / "sums", folder / "changed")
    model = bytearray((folder / "changed" / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (folder / "changed" / "model.onnx").write_bytes(model)
    shutil.copytree(folder / "sums", folder / "cut")
    (folder / "cut" / "manifest.json").write_text("{")
    return folder


@pytest.fixture(autouse=True)
def here(scene: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Works in the folder, whose files stay as they are."""
    monkeypatch.chdir(scene)
    monkeypatch.setenv("HOME", str(scene))
    monkeypatch.setenv("MAAS_CACHE", str(scene.parent / f"{scene.name}-cache"))
    before = contents(scene)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number, handler in handlers.items():  # which a server sets in its own process
        signal.signal(number, handler)
    assert contents(scene) == before


def contents(folder: Path) -> dict[str, bytes]:
    """Returns all files but what the same command resumes from, and copies of data that a program holds."""
    files = {str(one.relative_to(folder)): one for one in folder.rglob("*") if one.is_file()}
    left_out = ("runs/", "new.csv.unfinished")
    return {name: file.read_bytes() for name, file in files.items() if not name.startswith(left_out)}


NO_BUNDLE = "holds no manifest.json; name the folder of a bundle, e.g. runs/NAME/latest/bundle."
SHELL = {
    # the verb and its words
    "frobnicate": "There is no verb 'frobnicate'. maas --help lists them.",
    "trian recipe=digits_mlp": "There is no verb 'trian'. Did you mean train? maas --help lists them.",
    "new good.csv --target bought": (
        "Unrecognized arguments: --target bought. Settings are key=value: write target=bought"
    ),
    "new good.csv target = bought": "target = bought has blanks beside =. Write target=bought",
    "new good.csv target=city target=age": "target is given twice: target=city and target=age. Leave one.",
    "train digits_mlp": "'digits_mlp' is not key=value. Write e.g. maas train recipe=digits_mlp.",
    "doctor good.csv": "'good.csv' is not key=value. Write e.g. maas doctor recipe=NAME.",
    "list recipies": "There is no list of recipies. Did you mean recipes?",
    "completion powershell": "There is no completion for powershell. Known are: bash, zsh, fish.",
    # data of one's own
    "new god.csv target=bought": "There is no file or folder god.csv; did you mean good.csv?",
    "new ~/god.csv target=bought": "There is no file or folder {here}/god.csv; did you mean {here}/good.csv?",
    "new https://example.org/data.csv": (
        "https://example.org/data.csv is on another machine (https). Download it, and name the file."
    ),
    "new digits_mlp": "digits_mlp is a recipe. Run it: maas run recipe=digits_mlp",
    "new good.csv bought": "bought is no file. To learn that column, write maas new good.csv target=bought",
    "new good.csv": "Which column of good.csv is to be learnt? Set target=COLUMN; its columns are age, city, bought.",
    "new good.csv target=": "target is empty; it must be the name of a column. Set target=COLUMN.",
    "new good.csv target=bougt": "good.csv has no column bougt. Did you mean target=bought?",
    "new one_class.csv target=bought": (
        "The column bought holds yes in each of 40 rows; there is nothing to learn. Name another target."
    ),
    "new no_target.csv target=bought": "The column bought of no_target.csv holds nothing. Name another target.",
    "new empty.csv target=a": "empty.csv is empty. Name a file that holds rows.",
    "new header.csv target=a": "header.csv names 2 columns and holds no rows. Name a file that holds rows.",
    "new one_row.csv target=bought": (
        "The column bought holds yes in each of 1 rows; there is nothing to learn. Name another target."
    ),
    "new nameless.csv target=b": (
        "nameless.csv cannot be read as csv: its first line, '5,5,a', holds numbers. Add a line before it that names "
        "the columns."
    ),
    "new ragged.csv target=b": (
        "ragged.csv cannot be read as csv: line 3 has 3 cells, and the header names 2 columns. Give rows and header as "
        "many, and put quotes around a cell that holds the separator."
    ),
    "new docs": (
        f"docs holds neither pictures ({PICTURES}) nor sounds (.wav/.flac/.ogg). Put the files of a label into a "
        "folder of its name: docs/LABEL/."
    ),
    "new cats/cat": ("cats/cat holds no folders; put the files of a label into a folder of its name: cats/cat/LABEL/."),
    "new cats": "cats holds one label, cat; a classifier needs two or more folders.",
    "new split": (
        "split holds the folder cat beside train: its folders must be splits (train, validation, valid, val, dev, "
        "test) or labels, not both. Move cat away, or into train."
    ),
    "new pictures.zip": (
        f"pictures.zip is of no known format; known are: {FORMATS}. Unpack it, and name the file or folder that comes "
        "out of it."
    ),
    "new secret.xlsx target=a": (
        "secret.xlsx cannot be read as a workbook: it is protected by a password. Save it without one."
    ),
    "new fake.xlsx target=a": (
        "fake.xlsx cannot be read as a workbook: invalid Zip archive: Could not find EOCD. Save it again as a "
        "workbook, or as CSV."
    ),
    "new book.xlsx target=a sheet=Dato": (
        "book.xlsx cannot be read as a workbook: it has no sheet 'Dato'; its sheets are 'Data', 'Notes'. Set "
        "sheet=NAME."
    ),
    "new good.csv target=bought encoding=gb18300": ("encoding is 'gb18300', which is none. Set e.g. encoding=gb18030."),
    "new gb.csv target=bought encoding=utf-8": (
        "gb.csv is no text in utf-8: 'utf-8' codec can't decode byte 0xd7 in position 21: invalid continuation byte. "
        "Leave encoding out, or set another."
    ),
    "new utf8.csv target=bought encoding=gb18030": (
        "utf8.csv is a text in UTF-8, and encoding is gb18030, which would read other letters. Leave encoding out, or "
        "set encoding=utf-8."
    ),
    "new good.csv target=bought out=no/such/r.yaml": (
        "no/such/r.yaml cannot be written: No such file or directory. Set out=FILE.yaml."
    ),
    # recipes and their keys
    "run": "No recipe was named. Set recipe=NAME; known are: {recipes}.",
    "run recipe=digits_mpl": (
        "There is no recipe 'digits_mpl'. Set recipe=NAME; known are: {recipes}. Did you mean digits_mlp?"
    ),
    "run recipe=good.csv": (
        "There is no recipe 'good.csv'. Set recipe=NAME; known are: {recipes}. Data of your own needs no recipe: maas "
        "run good.csv target=COLUMN."
    ),
    "run recipe=0.yaml": "trainer.max_epoch is not an argument of lightning.pytorch.Trainer. Did you mean max_epochs?",
    "run recipe=broken.yaml": (
        "The recipe file broken.yaml is not YAML: expected ',' or ']', but got '<stream end>' in line 2, column 1."
    ),
    "run recipe=digits_mlp trainer.max_epoch=5": (
        "trainer.max_epoch is no key of the recipe. Did you mean trainer.max_epochs?"
    ),
    "run recipe=digits_mlp lr=-1": "lr is no key of the recipe. Did you mean optimizer.lr?",
    "run recipe=digits_mlp epochs=ten": "epochs is no key of the recipe. Did you mean trainer.max_epochs?",
    "run recipe=digits_mlp trainer.max_epochs=ten": (
        "trainer.max_epochs is 'ten'; it must be a whole number, or null. Set e.g. trainer.max_epochs=1"
    ),
    "run recipe=digits_mlp \"optimizer.lr='0.1'\"": (
        "optimizer.lr is '0.1'; it must be a number. Set e.g. optimizer.lr=0.1"
    ),
    "run recipe=digits_mlp optimizer=adamm": (
        "There is no optimizer 'adamm'. Set optimizer=NAME; known are: adam, adamw, gd, sgd. Did you mean adam?"
    ),
    # predictions
    "predict sums rows.csv": (
        "2 words stand beside the settings; name a model, a file of rows and the file to write. See maas predict "
        "--help."
    ),
    "predict sms rows.csv new.csv": "There is no folder sms. Did you mean sums?",
    "predict docs rows.csv new.csv": f"docs {NO_BUNDLE}",
    "predict sums row.csv new.csv": "There is no row.csv. Name a table, a file of lines, or a folder.",
    "predict sums renamed.csv new.csv": (
        "renamed.csv has no column price, which the model takes. Did you mean Price? Rename it, or add it: an empty "
        "cell is a missing value."
    ),
    "predict sums words.csv new.csv errors=stop": (
        "words.csv, row 1: The column price holds 'cheap', and the model takes a number there. Correct it, or leave it "
        "empty for a missing number. Set errors=report to go past such rows."
    ),
    "predict sums rows.csv new": "new is of no known format; written are .csv, .tsv, .jsonl, .parquet, .txt.",
    "predict sums rows.csv rows.csv replace=true": "rows.csv is what is read. Name another file.",
    "predict sums rows.csv out.csv": ("out.csv is there already. Name another file, remove it, or set replace=true."),
    "predict sums rows.csv no/such/new.csv": "There is no folder no/such. Make it, or name another file.",
    "predict sums rows.csv /proc/new.csv": (
        "/proc/new.csv cannot be written: No such file or directory. Name another file."
    ),
    "predict sums rows.csv new.csv colums=none": "colums is no setting of predict. Did you mean columns?",
    "predict sums rows.csv new.csv batch_size=ten": (
        "batch_size is 'ten'; it must be a number of rows from 1 to 1048576. See maas predict --help."
    ),
    "predict sums rows.csv new.csv decimal=x": "decimal is 'x'; it must be one of ., ,. See maas predict --help.",
    "predict mood rows.csv new.csv": (
        "rows.csv has the columns price, area, size. Set input=COLUMN to what the model reads."
    ),
    "predict changed rows.csv new.csv": (
        "changed/model.onnx was altered since the bundle was made; export the model again."
    ),
    "predict cut rows.csv new.csv": (
        "cut/manifest.json cannot be read: Input data was truncated. Export the model again."
    ),
    "predict models:/sums rows.csv new.csv": (
        "'models:/sums' is no address of a model; write models:/NAME@ALIAS or models:/NAME/VERSION."
    ),
    "generate sums hello": (
        "sums is for tabular-regression and generates no texts. Predict with it in Python, "
        "maas.load(MODEL).predict([…]), or serve it: maas serve model=MODEL."
    ),
    "generate writer hello max_tokens=many": "max_tokens is many; it must be a whole number, 1 or more.",
    "report sums out=page.pdf": "out is page.pdf; the page's file ends in .html. Set e.g. out=page.html.",
    # servers
    "serve sums": "'sums' is not key=value. Write e.g. model=sums.",
    "serve model=docs port=0": f"docs {NO_BUNDLE}",
    "serve model=~/sms port=0": "There is no folder {here}/sms. Did you mean {here}/sums?",
    "serve model=sums prot=80": "prot is not a setting of the server. Did you mean port?",
    "serve model=sums port=eighty": (
        "port is 'eighty'; it must be a port in 0 to 65535; 0 picks a free one. Run python -m maas.serve --help."
    ),
    "serve model=sums port={taken}": (
        "Cannot listen on 127.0.0.1:{taken}: Address already in use. Choose another port, e.g. port=8081, or port=0 "
        "for a free one."
    ),
    "serve model=sums host=192.0.2.1 port=0": (
        "Cannot listen on 192.0.2.1:0: Cannot assign requested address. Name an address of this machine, e.g. "
        "host=127.0.0.1."
    ),
    "serve models=models.yaml port=0": "models.yaml, entry 1: btach_size is not known here. Did you mean batch_size?",
    "bench http://127.0.0.1:9": ("'http://127.0.0.1:9' is not key=value. Write e.g. url=http://127.0.0.1:8080."),
}


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("typed", SHELL)
def test_mistake_of_the_shell_is_answered_by_one_line(typed, scene, taken, monkeypatch, capsys):
    import shlex

    values = {"here": str(scene), "taken": str(taken), "recipes": ", ".join(maas.config.recipe_names())}

    def filled(text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], text)

    monkeypatch.setattr(sys, "argv", ["maas", *shlex.split(filled(typed))])
    with pytest.raises(SystemExit) as ended:
        maas.__main__.main()
    assert (capsys.readouterr().err, ended.value.code) == (f"{filled(SHELL[typed])}\n", 2)


def cell_net() -> type[torch.nn.Module]:
    """Returns a net as the cell of a notebook defines it."""
    net = type("CellNet", (torch.nn.Linear,), {})
    net.__module__ = "__main__"
    return net


def bundle(name: str) -> maas.Bundle:
    return maas.load(name)


PYTHON: dict[str, tuple[Callable[[], Any], str]] = {
    "fewer targets than rows": (
        lambda: config_for(X, Y[:30]),
        "target holds 30 values; the data has 40 rows. Give one for each.",
    ),
    "a column for each label": (
        lambda: config_for(X, np.eye(2)[Y]),
        (
            "target is an array (40, 2) of float64; each row has one. Of a column for each label, take "
            "target.argmax(axis=1)."
        ),
    ),
    "an infinite target": (
        lambda: config_for(X, np.where(np.arange(ROWS) == 7, np.inf, X[:, 0])),
        "target is inf in row 7, which nothing can learn. Leave such rows out.",
    ),
    "targets of one class": (
        lambda: config_for(X, np.zeros(ROWS, int)),
        "The column target holds 0 in each of 40 rows; there is nothing to learn. Name another target.",
    ),
    "targets that are missing": (
        lambda: config_for(X, [None] * ROWS),
        "The column target of the data holds nothing. Name another target.",
    ),
    "no rows": (lambda: config_for(X[:0], Y[:0]), "The data names 4 columns and holds no rows. Give some."),
    "a sparse matrix": (
        lambda: config_for(scipy.sparse.csr_matrix(X), Y),
        f"maas.fit was given a csr_matrix; {FIT} Make it dense: data.toarray().",
    ),
    "rows of unequal length": (
        lambda: config_for([[1, 2], [3]], [0, 1]),
        f"maas.fit was given a list; {FIT} Give all rows as many numbers.",
    ),
    "inputs and targets in one": (
        lambda: config_for((X, Y)),
        f"maas.fit was given a tuple; {FIT} Give inputs and targets one by one: maas.fit(X, y).",
    ),
    "a generator": (
        lambda: config_for((row for row in X), Y),
        f"maas.fit was given a generator; {FIT} Make a list of it: list(data).",
    ),
    "a dictionary": (
        lambda: config_for({"a": [1], "y": [2]}, "y"),
        f"maas.fit was given a dict; {FIT} Make a frame of it: pandas.DataFrame(data).",
    ),
    "a tensor with a gradient": (
        lambda: config_for(torch.ones(ROWS, 2, requires_grad=True), Y),
        f"maas.fit was given a Tensor; {FIT} Make an array of it: data.detach().cpu().numpy().",
    ),
    "a frame without target": (
        lambda: config_for(FRAME),
        "Which column of the data is to be learnt? Name it, e.g. target='price'; its columns are age, city, bought.",
    ),
    "a column that is not there": (
        lambda: config_for(FRAME, "bougt"),
        "The data has no column 'bougt'. Did you mean target='bought'?",
    ),
    "a column beside the frame": (
        lambda: config_for(FRAME[["age"]], FRAME["bought"]),
        (
            "target is a Series; data that has columns needs the name of one. Write e.g. target='price', after "
            "frame['price'] = …"
        ),
    ),
    "columns of one name": (
        lambda: config_for(pd.concat([FRAME, FRAME[["age"]]], axis=1), "bought"),
        "the frame cannot be read: it has several columns of the name 'age'. Give each column a name of its own.",
    ),
    "names of columns of two levels": (
        lambda: config_for(pd.concat({"u": FRAME}, axis=1), "bought"),
        (
            "the frame has names of columns of 2 levels, e.g. ('u', 'age'); a column has one name. Join them: "
            "frame.columns = ['_'.join(map(str, name)) for name in frame.columns]."
        ),
    ),
    "a frame of nothing": (
        lambda: config_for(pd.DataFrame(), "y"),
        "The data has no columns. Give it some, one of which is to be learnt.",
    ),
    "a path that is not there": (
        lambda: config_for("~/god.csv", "bought"),
        "There is no file or folder {here}/god.csv; did you mean {here}/good.csv?",
    ),
    "a number as override": (
        lambda: config_for(FRAME, "bought", 3),
        "An override is 3; it must be a text, e.g. 'batch_size=32'.",
    ),
    "a key that is misspelt": (
        lambda: config_for(FRAME, "bought", batch_sise=3),
        "batch_sise is no key of the recipe. Did you mean batch_size?",
    ),
    "a part by its name": (
        lambda: config_for(FRAME, "bought", model="mlp"),
        "model is 'mlp'; it must be a part, a mapping with a _target_. A part by its name is an override: model=mlp.",
    ),
    "a net of a cell": (
        lambda: config_for(FRAME, "bought", model=cell_net()),
        (
            "model is CellNet, which this program or notebook defines, so no other process can build it. Write it into "
            "a module, in a notebook by %%writefile nets.py, and import it from there."
        ),
    ),
    "a name with blanks": (
        lambda: config_for(FRAME, "bought", name="my model"),
        "name is 'my model'; it must be letters, digits, - and _. Set e.g. name=my_model.",
    ),
    "a bundle that is not there": (lambda: maas.load("sms"), "There is no folder sms. Did you mean sums?"),
    "no address": (
        lambda: maas.load(None),
        "maas.load was given a NoneType; it takes a bundle's folder, models:/NAME@ALIAS or models:/NAME/VERSION.",
    ),
    "a frame that lacks a column": (
        lambda: bundle("sums").predict(pd.DataFrame({"price": [1.0], "size": ["S"]})),
        "The table has no column 'area'; the model reads price, area, size. Add it, with None where nothing is known.",
    ),
    "a text where a number belongs": (
        lambda: bundle("sums").predict(pd.DataFrame({"price": ["x"], "area": [1], "size": ["S"]})),
        (
            "Row 0 has 'x' (str) in the column price, which takes numbers. Send a number, without quotation marks, or "
            "null for a missing one."
        ),
    ),
    "a row alone": (
        lambda: bundle("sums").predict({"price": 1}),
        "predict takes a list of inputs; it was given one dict. Write [input].",
    ),
    "a misspelt column of a row": (
        lambda: bundle("sums").predict([{"prise": 1}]),
        (
            "Row 0 has the column 'prise', which the model does not know; the nearest that it knows is 'price'. Its "
            "columns are price, area, size."
        ),
    ),
    "too few numbers": (
        lambda: bundle("digits").predict(np.ones((2, 63))),
        "Row 0 has shape [63]; the model takes [64].",
    ),
    "one row of numbers": (
        lambda: bundle("digits").predict(np.ones(64)),
        "Row 0 is a single value; the model takes [64] of them. Write [row] for one row.",
    ),
    "sparse rows": (
        lambda: bundle("digits").predict(scipy.sparse.csr_matrix(np.ones((2, 64)))),
        "predict was given a csr_matrix, which is sparse. Write rows.toarray().",
    ),
    "numbers that are missing": (
        lambda: bundle("digits").predict(np.full((2, 64), np.nan)),
        "Row 0 holds a value that is not a finite number.",
    ),
    "no rows to predict": (lambda: bundle("sums").predict([]), "No rows were given; the model needs at least one."),
    "a text alone": (
        lambda: bundle("mood").predict("good"),
        "predict takes a list of inputs; it was given one str. Write [input].",
    ),
    "a number for a text": (
        lambda: bundle("mood").predict([3]),
        "Row 0 is of type int; the model takes a text (a string).",
    ),
    "probabilities of a value": (
        lambda: bundle("sums").predict_proba([]),
        "sums holds a model without labels, so without probabilities; call predict.",
    ),
    "texts of a model that predicts": (
        lambda: bundle("sums").generate("x"),
        "sums holds a model that predicts; call predict, not generate.",
    ),
    "a misspelt setting of texts": (
        lambda: bundle("writer").generate("x", max_token=3),
        "max_token is no setting of texts. Did you mean max_tokens?",
    ),
}


@pytest.mark.parametrize("case", PYTHON)
def test_mistake_of_a_notebook_is_answered_by_one_line(case, scene):
    call, line = PYTHON[case]
    with pytest.raises(MaasError) as refused:
        call()
    assert str(refused.value) == line.replace("{here}", str(scene))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param((torch.tensor(X), torch.tensor(Y)), id="tensors"),
        pytest.param((X.tolist(), Y.astype(float)), id="lists and floats"),
        pytest.param((X, Y[:, None]), id="a column of targets"),
        pytest.param((X, np.where(np.arange(ROWS) == 3, np.nan, Y)), id="a missing target"),
        pytest.param((pd.DataFrame(X).assign(y=Y), "y"), id="names that are numbers"),
        pytest.param((pd.DataFrame(np.c_[X, Y]), 3), id="a target that is a number"),
        pytest.param(
            (pd.DataFrame(X, columns=list("abc")).astype(pd.SparseDtype("float")).assign(y=Y), "y"), id="sparse columns"
        ),
    ],
)
def test_data_that_looks_like_a_mistake_loses_nothing(data, tmp_path):
    config = config_for(*data, registry=None, runs_dir=str(tmp_path))
    assert config.task == "classification"
    assert len(config.processor["numbers"]) == 3


def test_columns_that_nothing_can_learn_from_are_named(tmp_path, caplog):
    config_for(FRAME.assign(part=[1j] * ROWS), "bought", registry=None, runs_dir=str(tmp_path))
    assert caplog.messages == [
        "data      'part' is left out: it holds objects, not numbers, texts, truth values or dates"
    ]
