"""The text that is said in a sound, token by token, by a model that comes trained."""

from typing import ClassVar

from maas.data.contents import Target
from maas.data.datamodule import BatchSource
from maas.data.splits import Split
from maas.errors import ConfigError
from maas.runtime.processors import Processor
from maas.training.heads.generation import GenerationHead


class SpeechToTextHead(GenerationHead):
    """Softmax over V logits of the next token of a text, which is measured with the proof of the export."""

    task: ClassVar[str] = "speech_to_text"
    target: ClassVar[Target] = "text"

    def dataset(self, split: Split, processor: Processor) -> BatchSource:
        """Refuses to train.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("task speech_to_text takes its model as it comes. Set trainer=null, or task=transcription.")
