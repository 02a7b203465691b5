"""What a bundle says of itself: `manifest.json`, strictly typed, with the digest of every file that it covers."""

from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta

from maas.bounds import BatchSize, BeamCount, NonNegative, Threads, Tokens
from maas.records.signature import Signature, TensorSpec

MANIFEST_VERSION = 2
GENERATION_VERSION = 3
"""Of a manifest whose graph keeps state between steps; readers of version 2 refuse it by its number."""
TRANSLATION_VERSION = 4
"""Of a manifest whose graphs make one text of another; readers of version 3 refuse it by its number."""
TRANSCRIPTION_VERSION = 5
"""Of a manifest whose graphs write what is said in a sound; readers of version 4 refuse it by its number."""
TIMED_TRANSCRIPTION_VERSION = 6
"""Of a manifest whose graphs write when it is said as well; readers of version 5 refuse it by its number."""


class Lineage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a model comes from.

    Args:
        recipe: the recipe's name.
        overrides: what was changed on the command line.
        config_sha256: digest of the composed recipe.
        seed: the seed of every random choice.
        data_fingerprint: digest of the rows of all splits.
        git_commit: commit of the working directory, with `-dirty` where files differ; null outside a checkout.
        constraints_sha256: digest of the pins of this version of maas.
        maas_version: the version that made it.
    """

    recipe: str
    overrides: tuple[str, ...]
    config_sha256: str
    seed: int
    data_fingerprint: str
    git_commit: str | None
    constraints_sha256: str
    maas_version: str


class ServingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the model was measured, and how it is served unless a server has settings of its own."""

    batch_size: BatchSize = 32
    threads: Threads = 1


class Generation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a model continues texts.

    Args:
        context_length: largest number of tokens of a prompt and the text after it.
        end_tokens: ids of the tokens that end a text.
        tokenizer: path of the `tokenizer.json` inside the bundle.
        chat_template: path of the Jinja template of conversations inside the bundle; null for none.
        special_tokens: texts of tokens by the names that the template uses, such as `bos_token`.
    """

    context_length: Tokens
    end_tokens: tuple[int, ...]
    tokenizer: str
    chat_template: str | None = None
    special_tokens: dict[str, str] = {}


class Translation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a model makes one text of another.

    Args:
        end_token: id of the token that begins what is written, and ends it.
        max_tokens: largest number of tokens that are written, the end among them.
        num_beams: number of texts that are followed at once; 1 takes the likeliest token at each step.
        length_penalty: power of the length that log probabilities are divided by where beams are compared; 0 compares
            them as they are, and the larger it is the longer the text.
    """

    end_token: int
    max_tokens: Tokens
    num_beams: BeamCount = 1
    length_penalty: NonNegative = 1.0

    @property
    def first_tokens(self) -> tuple[int, ...]:
        """Tokens that the model is given before the first one that it writes."""
        return (self.end_token,)

    def barred(self, *, is_first: bool) -> list[int]:
        """Returns tokens that are never written at a place.

        Args:
            is_first: whether it is the first one.
        """
        return []


class Transcription(Translation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model writes what is said in a sound.

    Args:
        prompt: ids of the tokens that it is given first, such as those of a language and a task.
        suppressed_tokens: ids of tokens that are never written.
        suppressed_first: ids of tokens that are not written first.
    """

    prompt: Annotated[tuple[int, ...], Meta(min_length=1)]
    suppressed_tokens: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()

    @property
    def first_tokens(self) -> tuple[int, ...]:
        """The prompt."""
        return self.prompt

    def barred(self, *, is_first: bool) -> list[int]:
        """Returns the suppressed tokens."""
        return [*self.suppressed_tokens, *(self.suppressed_first if is_first else ())]


class TimedTranscription(Transcription, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model writes what is said in a sound, and when, by marks of time among its tokens.

    Args:
        positions: most tokens of a window, those that it is given first among them.
        first_time: id of the mark of its beginning; those of later moments follow, 0.02 s each.
        no_times: id of the token that promises no marks, which is never written.
        latest_beginning: largest number of steps of 0.02 s that the first mark may stand for; null for any.
        previous_token: id of the token that comes before what was said earlier; null where the model knows none.
        languages: ids of the tokens of languages by their codes, such as `en`; empty for a model of one. Where none is
            among the tokens of `prompt`, the language is detected, and its token comes second.
    """

    positions: Tokens
    first_time: int
    no_times: int
    latest_beginning: int | None = None
    previous_token: int | None = None
    languages: dict[str, int] = {}

    @property
    def detects_language(self) -> bool:
        """Whether the model hears which language is spoken."""
        return bool(self.languages) and not set(self.prompt) & set(self.languages.values())

    def begun(self, language: int | None, previous: tuple[int, ...]) -> Self:
        """Returns the settings of a sound of a language, after something that was said earlier.

        Args:
            language: id of its token; None for the prompt's own.
            previous: tokens of what was said earlier; none where nothing is known.
        """
        known = set(self.languages.values())
        start, *rest = self.prompt
        own = self.prompt if language is None else (start, language, *(one for one in rest if one not in known))
        before = () if self.previous_token is None or not previous else (self.previous_token, *previous)
        room = self.positions - len(before) - len(own)
        return msgspec.structs.replace(self, prompt=(*before, *own), max_tokens=min(self.max_tokens, room))


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The content of a bundle. What is at its default is not written: older readers refuse fields that they lack.

    Args:
        schema_version: of this file.
        name: the model's name.
        task: e.g. `text-classification`; also the path of its REST route.
        precision: `fp32`, or the compression that was chosen.
        graphs: ONNX file of each role by the role's name; `predict` turns a batch of inputs into outputs, `prefill`
            reads prompts and `decode` continues them, which one file may do; where `encode` reads a text or a sound,
            `decode` writes what is made of it, and `hear` makes the spectrogram of a sound that `encode` reads.
        processor: kind and settings of the processor; one of several inputs has the kinds of its parts by name; empty
            for a model that generates.
        postprocessor: kind and settings of the postprocessor; empty for a model that generates.
        signature: raw inputs and outputs.
        serving: batch size and threads.
        lineage: where the model comes from.
        files: SHA-256 of each file by its path inside the bundle; `manifest.json` and `evidence.json` excepted.
        state: tensors that a graph keeps between steps, each an input `past.NAME` and an output `present.NAME`; none
            for a model that answers in one step.
        generation: how the model continues texts; null for one that does not.
        translation: how it makes one text of another; null for one that does not.
        transcription: how it writes what is said in a sound; null for one that does not, or by its characters.
        timed_transcription: the same, for one that writes when it is said as well; null for others.
    """

    schema_version: int
    name: str
    task: str
    precision: str
    graphs: dict[str, str]
    processor: dict[str, Any]
    postprocessor: dict[str, Any]
    signature: Signature
    serving: ServingSettings
    lineage: Lineage
    files: dict[str, str]
    state: tuple[TensorSpec, ...] = ()
    generation: Generation | None = None
    translation: Translation | None = None
    transcription: Transcription | None = None
    timed_transcription: TimedTranscription | None = None

    @property
    def search(self) -> Translation | None:
        """How tokens of a text are found that one graph writes of what another reads; null for other models."""
        return self.translation or self.spoken

    @property
    def spoken(self) -> Transcription | None:
        """How what is said in a sound is written, with times or without; null for other models."""
        return self.transcription or self.timed_transcription
