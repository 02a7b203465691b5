"""Files that are the whole body of a request: pictures and sounds, as they are on a disk."""

from maas.runtime.codec import Codec
from maas.serving.faults import MediaTypeError
from maas.serving.protocols.operations import Request
from maas.serving.repository import Deployment

LARGE_FILE_BYTES, LARGE_FILE_PIXELS = 256 * 2**10, 10**6


def is_large_file(request: Request, processor: Codec) -> bool:
    """Whether another process decodes a file; it may have more bytes than JSON, as its decoder lets others work."""
    return len(request.body) > LARGE_FILE_BYTES or processor.pixels_to_decode(request.body) > LARGE_FILE_PIXELS


def refuse_files(kind: str, deployment: Deployment) -> None:
    """Refuses a file of a type that a model does not read.

    Args:
        kind: declared type of the body.
        deployment: the model.

    Raises:
        MediaTypeError: it is a file.
    """
    if kind.startswith(("image/", "audio/", "video/")) or kind == "application/octet-stream":
        known = ", ".join(sorted({"application/json", *deployment.processor.media_types}))
        raise MediaTypeError(f"The body is of type {kind}; this route reads {known}.")
