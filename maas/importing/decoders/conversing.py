"""The processor of a pretrained decoder: its own tokenizer, chat template and end tokens, wherever it lies."""

from maas.bounds import PadMultiple, Tokens
from maas.errors import ConfigError
from maas.importing.decoders.pretrained import text_files_at
from maas.runtime.processors.conversation import ConversationProcessor


def conversation_processor(
    pretrained: str | None, max_tokens: Tokens = 256, pad_multiple: PadMultiple = 16
) -> ConversationProcessor:
    """Returns what makes tokens of texts and conversations as the model's authors do; no weights are read.

    Args:
        pretrained: a folder of Hugging Face, a GGUF file, `package:path` to one of them inside an installed package, or
            a hub id; that of the recipe's model unless the recipe says otherwise.
        max_tokens: length of a packed training sequence; of a longer conversation its end is kept.
        pad_multiple: rows are padded to the next multiple where they are not packed.

    Raises:
        ConfigError: nothing is named, or there is no tokenizer that can be opened.

    Example:
        >>> conversation_processor("OWNER/NAME").passages(["a text"])  # doctest: +SKIP
        [Passage(tokens=array([...]), is_predicted=array([...]))]
    """
    if pretrained is None:
        raise ConfigError(
            "processor.pretrained is missing. Set it, or model.pretrained, to a folder, a GGUF file, package:path, or "
            "a hub id."
        )
    files = text_files_at(pretrained)
    return ConversationProcessor(
        max_tokens,
        pad_multiple,
        content=files.tokenizer,
        chat_template=files.chat_template,
        special_tokens=files.special_tokens,
        end_tokens=files.end_tokens,
    )
