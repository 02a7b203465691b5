"""Multipart forms: texts and files by name, within limits. Their parser is the package multipart.

Source: RFC 7578.
"""

from collections.abc import Mapping
from typing import NamedTuple

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from maas.errors import InputError, shortened_value
from maas.serving.faults import MediaTypeError, UnreadableError
from maas.serving.protocols.operations import Request

FORM = "multipart/form-data"
MOST_PARTS = 32
LONGEST_TEXT_BYTES = 16 * 2**10


class Form(NamedTuple):
    """What a form holds.

    Args:
        texts: fields by name.
        files: contents of files by the names of their fields.
    """

    texts: Mapping[str, str]
    files: Mapping[str, bytes]


def form_of(request: Request) -> Form:
    """Returns the form that a request's body is.

    Raises:
        MediaTypeError: the body is no form.
        UnreadableError: it is malformed, or has more parts than a form may have.
        InputError: a field is there twice, or a text is too long or not UTF-8.
    """
    declared, options = parse_options_header(request.metadata.get(b"content-type", b"").decode("latin-1"))
    if declared != FORM:
        raise MediaTypeError(f"The body is of type {shortened_value(declared)}; this route reads {FORM}.")
    if not options.get("boundary"):
        raise UnreadableError(f"The form has no boundary; send content-type: {FORM}; boundary=TEXT.")
    texts, files = dict[str, str](), dict[str, bytes]()
    for name, content, is_file in _parts(bytes(request.body), options["boundary"]):
        if name in texts or name in files:
            raise InputError(f"The form has the field {shortened_value(name)} twice; send it once.")
        if is_file:
            files[name] = content
        else:
            texts[name] = _text(name, content)
    return Form(texts, files)


def _parts(body: bytes, boundary: str) -> list[tuple[str, bytes, bool]]:
    """Returns name and content of each part, and whether it is a file."""
    found: list[tuple[MultipartSegment, bytearray]] = []
    try:
        with PushMultipartParser(boundary, max_segment_count=MOST_PARTS, strict=True) as parser:
            for piece in parser.parse(body):
                if isinstance(piece, MultipartSegment):
                    found.append((piece, bytearray()))
                elif piece:
                    found[-1][1].extend(piece)
    except MultipartError as error:
        raise UnreadableError(f"The body is no multipart form: {error}. Send {FORM}.") from None
    return [(part.name, bytes(content), part.filename is not None) for part, content in found]


def _text(name: str, content: bytes) -> str:
    if len(content) > LONGEST_TEXT_BYTES:
        raise InputError(
            f"The form's field {shortened_value(name)} has {len(content):,} bytes; a text may have "
            f"{LONGEST_TEXT_BYTES:,}. Send a sound as a file, with a filename."
        )
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InputError(
            f"The form's field {shortened_value(name)} is not UTF-8; send a sound with a filename."
        ) from None
