"""The language model that a checkpoint holds, whichever net it is of."""

from maas.errors import ExportError
from maas.exporting.trained_decoder import TrainedDecoder
from maas.importing.decoders.base import LanguageModel, PretrainedNet, TextFiles
from maas.runtime.processors import Processor
from maas.runtime.processors.conversation import ConversationProcessor
from maas.training.checkpoint import Checkpoint


def language_model_of(checkpoint: Checkpoint) -> LanguageModel:
    """Returns what the bundle of a checkpoint is made of.

    Args:
        checkpoint: of a recipe whose task is `generation`.

    Raises:
        ExportError: its net or its processor is none that can be exported.
    """
    net = checkpoint.model()
    if not isinstance(net, PretrainedNet):
        return TrainedDecoder(checkpoint)
    return net.language_model(
        text_files_of(checkpoint.processor(), checkpoint.record.net.target), checkpoint.record.name
    )


def text_files_of(processor: Processor, net: str) -> TextFiles:
    """Returns what a pretrained net makes tokens by.

    Args:
        processor: that it was trained with.
        net: import path of its class, for messages.

    Raises:
        ExportError: it is not the net's own.
    """
    if not isinstance(processor, ConversationProcessor):
        raise ExportError(
            f"{net} with a {processor.kind} processor cannot be exported to generate texts. Train it with "
            "processor=conversation, which has its own tokens."
        )
    return TextFiles(processor.content, processor.chat_template, processor.special_tokens, processor.end_tokens)
