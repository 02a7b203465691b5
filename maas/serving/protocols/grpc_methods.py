"""Methods of gRPC services: their messages, and those that no model runs for.

Messages are compiled files beside this module. They have a pool of their own, as clients of a protocol bring messages
of the same names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING

from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from maas.serving.faults import UnreadableError
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import Page, Reply, Request
from maas.serving.repository import Snapshot

if TYPE_CHECKING:
    from google.protobuf.message import Message

PROTOBUF = b"application/grpc+proto"
PageContent = Callable[["Message", Request, Snapshot], Mapping[str, object]]
POOL = DescriptorPool()
for _known in (any_pb2.DESCRIPTOR, wrappers_pb2.DESCRIPTOR):
    POOL.AddSerializedFile(_known.serialized_pb)
for _name in ("open_inference", "tf_serving"):
    _compiled = resources.files(__package__).joinpath(f"{_name}.binpb").read_bytes()
    for _file in FileDescriptorSet.FromString(_compiled).file:
        POOL.Add(_file)


@dataclass(frozen=True)
class GrpcMethod:
    """A method of a service.

    Args:
        service: name of the service.
        name: name of the method.
    """

    service: str
    name: str

    @property
    def path(self) -> str:
        """Where clients send it."""
        return f"/{self.service}/{self.name}"

    @cached_property
    def request_type(self) -> "type[Message]":
        """The message that it takes."""
        return self._types[0]

    @cached_property
    def reply_type(self) -> "type[Message]":
        """The message that it gives."""
        return self._types[1]

    def read(self, request: Request) -> "Message":
        """Returns a request's message.

        Raises:
            UnreadableError: it is none of the method's.
        """
        try:
            return self.request_type.FromString(bytes(request.body))
        except DecodeError as error:
            raise UnreadableError(
                f"The message cannot be read: {error}. Send what {self.request_type.DESCRIPTOR.file.name} describes."
            ) from None

    @cached_property
    def _types(self) -> "tuple[type[Message], type[Message]]":
        found = POOL.FindServiceByName(self.service).methods_by_name[self.name]
        return GetMessageClass(found.input_type), GetMessageClass(found.output_type)


class GrpcPage(Page):
    """A method that no model runs for.

    Args:
        method: which it is.
        content: returns what its reply says, by the names of the message's fields.
    """

    def __init__(self, method: GrpcMethod, content: PageContent) -> None:
        self.path = method.path
        self.summary = f"Answers {method.name}."
        self._method, self._content = method, content

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the method's message."""
        content = self._content(self._method.read(request), request, snapshot)
        message = ParseDict(content, self._method.reply_type(), descriptor_pool=POOL)
        return Reply(message.SerializeToString(), PROTOBUF)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns nothing: the source of its messages documents it."""
        return OperationDocument(Content({}, None))
