"""Deployments of the process that reads large inputs: they run nothing, and open only what a request needs."""

from collections.abc import AsyncIterator, Callable
from functools import cached_property
from pathlib import Path

from maas.errors import BundleError
from maas.records.manifest import Manifest
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import read_manifest
from maas.runtime.codec import Codec, Outputs
from maas.runtime.postprocessors import Postprocessor, load_postprocessor
from maas.serving.call import Call, Chunk
from maas.serving.engines.small_calls import AnySmallCall
from maas.serving.preprocessing.frames import ModelRecord
from maas.serving.protocols.schemas import keep_bound
from maas.serving.repository import PredictingDeployment


class UnopenedDeployment(PredictingDeployment):
    """A deployment whose bundle is opened by the first request that needs its processor.

    Its task and its postprocessor are what the manifest says, which is little to read. Where a deployment has fields,
    it has properties that are read once.

    Args:
        record: what the server sent of it.
    """

    def __init__(self, record: ModelRecord) -> None:
        self.name, self.version, self.engine = record.name, record.version, UnusedEngine(record.max_rows)
        self._record = record
        keep_bound(self, record.bound)

    @property
    def task(self) -> str:
        """The model's task."""
        return self._manifest.task

    @cached_property
    def bundle(self) -> Bundle:  # type: ignore[override]
        """Directory that it came from, each file checked.

        Raises:
            BundleError: it holds another bundle than the one that is served.
        """
        found = Bundle.open(self._record.folder, check_evidence=False)
        if found.digest != self._record.digest:
            raise BundleError(
                f"{self._record.folder} holds another bundle than the one that is served from there. Send the server "
                "SIGHUP, and it serves what is there now."
            )
        return found

    @cached_property
    def processor(self) -> Codec:  # type: ignore[override]
        """Reads raw rows."""
        processor = self.bundle.load_processor()
        processor.max_pixels = self._record.max_pixels
        if self._record.max_beams is not None:
            vars(processor)["max_beams"] = self._record.max_beams
        return processor

    @cached_property
    def postprocessor(self) -> Postprocessor:  # type: ignore[override]
        """Names the outputs."""
        return load_postprocessor(self._manifest.postprocessor)

    @cached_property
    def _manifest(self) -> Manifest:
        return read_manifest(Path(self._record.folder))


class UnusedEngine:
    """The engine of a deployment that no call is submitted to.

    Args:
        max_rows: largest number of rows in a call.
    """

    queued_rows = 0
    summary = "not run here"

    def __init__(self, max_rows: int) -> None:
        self.max_rows = max_rows

    def submit(self, call: Call) -> AsyncIterator[Chunk]:
        """Refuses.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"Model {call.model!r} is not run here.")

    def start(self, call: Call, deliver: Callable[[Outputs | Exception], None]) -> None:
        """Starts nothing."""

    def start_small(self, small: AnySmallCall) -> None:
        """Starts nothing."""

    def pause(self) -> None:
        """Does nothing."""

    def resume(self) -> None:
        """Does nothing."""

    async def drain(self) -> None:
        """Does nothing."""
