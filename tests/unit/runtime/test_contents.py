"""Files that stand for a row, in every form that a caller may send."""

import base64

import pytest

from maas.errors import InputError
from maas.runtime import contents
from maas.runtime.contents import content_of

CONTENT = bytes(range(256))
TEXT = base64.b64encode(CONTENT).decode()


@pytest.mark.parametrize(
    "row",
    [
        CONTENT,
        bytearray(CONTENT),
        memoryview(CONTENT),
        TEXT,
        base64.encodebytes(CONTENT).decode(),
        f"data:audio/wav;base64,{TEXT}",
        f"data:image/png;name=a.png;base64,{TEXT}",
    ],
)
def test_bytes_are_the_same_when_a_file_is_sent_in_any_form(row):
    assert content_of(row, "a file") == CONTENT


def test_bytes_are_those_on_disk_when_a_path_is_given(tmp_path):
    (tmp_path / "a.bin").write_bytes(CONTENT)
    assert content_of(tmp_path / "a.bin", "a file") == CONTENT


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (None, "is null; the model takes a file."),
        (1.5, "is of type float; the model takes a file."),
        ({}, "is of type dict; the model takes a file."),
        ("not base64!", "is the text 'not base64!', which is not base64: "),
        ("QUJD" + "é" * 30, "is the text 'QUJDéééééééééééééééé', which is not base64: "),
        ("QUJDR", "is the text 'QUJDR', which is not base64: "),
        ("/etc/hostname", "is the text '/etc/hostname', which is not base64: "),
        ("data:audio/wav,abc", "is a data: URL that begins with 'data:audio/wav'; send data:TYPE;base64,…"),
        ("data:audio/wav;base64,a b!", "is the text 'a b!', which is not base64: "),
    ],
)
def test_row_is_refused_with_its_value_when_it_stands_for_no_file(row, message):
    with pytest.raises(InputError) as caught:
        content_of(row, "a file")
    assert str(caught.value).startswith(message)


def test_path_is_named_with_the_reason_when_it_cannot_be_read(tmp_path):
    with pytest.raises(InputError) as caught:
        content_of(tmp_path / "absent.wav", "a file")
    message = "cannot be read: No such file or directory."
    assert str(caught.value) == message


@pytest.mark.parametrize("form", ["bytes", "text", "path"])
def test_file_is_refused_with_the_limit_when_it_is_too_large(form, tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "MAX_FILE_BYTES", 255)
    (tmp_path / "a.bin").write_bytes(CONTENT)
    row = {"bytes": CONTENT, "text": TEXT, "path": tmp_path / "a.bin"}[form]
    with pytest.raises(InputError, match=r" of more than 255 bytes, the most that are read\. Send a smaller one\.$"):
        content_of(row, "a file")


def test_text_is_refused_before_it_is_decoded_when_it_is_far_too_long(monkeypatch):
    monkeypatch.setattr(contents, "MAX_FILE_BYTES", 10)
    with pytest.raises(InputError, match=r"^is a text of 344 characters; files of at most 10 bytes are read\.$"):
        content_of(TEXT, "a file")
