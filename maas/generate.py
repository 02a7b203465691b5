"""Continues texts by a model that generates; a text appears as it comes.

usage: python -m maas.generate MODEL ["PROMPT"] [key=value …] [--json]
       python -m maas.generate MODEL chat=true [system=TEXT] [key=value …]
       python -m maas.generate MODEL prompts=FILE out=FILE.jsonl [chat=true] [key=value …]

    MODEL      a bundle's folder, or models:/NAME@ALIAS or models:/NAME/VERSION in the registry
    PROMPT     the text to continue; standard input where there is none, or where it is -. After -- a word is a prompt
               whatever it begins with
    chat       true answers messages, by the model's chat template. Without a prompt, in a terminal: a talk, in which
               Ctrl-C ends an answer and Ctrl-D the talk (false)
    system     what the model is to be in a conversation (nothing)
    prompts    a file of prompts, one in each line; in a .jsonl file a line may be {"prompt": …} or {"messages": […]}
    out        the file to write for it: a line of JSON for each prompt. After a kill, the same command goes on
    --json     prints an object with the text, why it ended, and its numbers of tokens

    max_tokens          most new tokens (256, or fewer where the context ends before)
    temperature         what logits are divided by before a token is drawn; 0 takes the likeliest (0)
    top_k, top_p, min_p the likeliest tokens that are drawn from: their number, their probability together, the
                        smallest as a fraction of the largest (all)
    seed                the same seed and prompt give the same text (another one each time)
    stop                a text that ends the generation; may be given several times (none)
    repetition_penalty, presence_penalty, frequency_penalty, logit_bias, stop_tokens, ignore_end, logprobs, overflow
                        as in docs/runtime.md

Status 0; 2 for what cannot be done, in one line; 3 where prompts of a file have an error instead of a text.

example: python -m maas.generate assistant "Once upon a time" max_tokens=64 temperature=0.8 seed=1
"""

import os
import sys
from collections.abc import Sequence

import msgspec

from maas.errors import ConfigError, MaasError
from maas.opening import load
from maas.outcomes import CLOSED_STATUS, INTERRUPTED_STATUS, UNMET_STATUS, USAGE_STATUS
from maas.prompting.command import GenerationCommand, wants_help
from maas.prompting.prompt_file import generate_file
from maas.prompting.records import generated_record, prompt_of
from maas.prompting.screen import Screen, read_input
from maas.prompting.talking import Conversation, talk
from maas.runtime.bundle import Bundle


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `python -m maas.generate`; what cannot be done prints one line and exits with status 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if wants_help(arguments):
        print(__doc__.strip() if __doc__ else "")
        return
    try:
        _generate(GenerationCommand.of(arguments))
    except MaasError as error:
        print(error, file=sys.stderr)
        sys.exit(USAGE_STATUS)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_STATUS)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its end
        sys.exit(CLOSED_STATUS)


def _generate(command: GenerationCommand) -> None:
    bundle = _opened(command)
    if command.prompts is not None and command.out is not None:
        faults = generate_file(bundle, command, command.prompts, command.out)
        print(f"written to {command.out}{f'; lines with an error instead of a text: {faults}' if faults else ''}")
        if faults:
            sys.exit(UNMET_STATUS)
    elif command.is_chat and command.prompt is None and sys.stdin.isatty():
        if command.is_json:
            raise ConfigError("A talk is no JSON; leave --json out, or give a message.")
        talk(Conversation(bundle.generator, command.settings, command.system), Screen(sys.stdout))
    else:
        text = read_input() if command.prompt is None else command.prompt
        _write_text(bundle, command, text)


def _opened(command: GenerationCommand) -> Bundle:
    """Opens the model.

    Raises:
        ConfigError: it does not generate, or does not answer.
        MaasError: there is no such model.
    """
    bundle = load(command.model)
    generation = bundle.manifest.generation
    if generation is None:
        raise ConfigError(
            f"{command.model} is for {bundle.manifest.task} and generates no texts. Predict with it in Python, "
            "maas.load(MODEL).predict([…]), or serve it: maas serve model=MODEL."
        )
    if command.is_chat and generation.chat_template is None:
        raise ConfigError(f"{command.model} has no chat template. Leave chat out, and it continues your text.")
    return bundle


def _write_text(bundle: Bundle, command: GenerationCommand, text: str) -> None:
    """Writes one text: as it comes, or as an object once it is whole."""
    generator, screen = bundle.generator, Screen(sys.stdout)
    prompt = prompt_of(text, is_chat=command.is_chat, system=command.system)
    if command.is_json:
        (found,) = generator.generate([prompt], command.settings)
        screen.write(msgspec.json.encode(generated_record(found, generator.tokenizer)).decode())
    else:
        for piece in generator.stream(prompt, command.settings):
            screen.write(piece.text)
    screen.write("\n")


if __name__ == "__main__":
    main()
