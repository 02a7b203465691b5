"""Prints what lets a shell complete words after maas.

usage: maas completion bash|zsh|fish

    bash    in ~/.bashrc: eval "$(maas completion bash)"
    zsh     in ~/.zshrc, after compinit: eval "$(maas completion zsh)"
    fish    once: maas completion fish > ~/.config/fish/completions/maas.fish

example: eval "$(maas completion bash)"
"""

import sys
from collections.abc import Mapping, Sequence

from maas.command_line import CommandLine
from maas.errors import ConfigError
from maas.outcomes import VerbOutcome, give, reported, say, wants_json
from maas.shell.completing import SHELLS, next_words
from maas.suggesting import nearest_of

WORDS_REQUEST = "words"
"""What scripts of shells request: the words that may come next."""

BASH = r"""_maas() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$'\n'
    local word="${line##*[[:space:]]}"
    COMPREPLY=($(maas completion words -- "$line" 2>/dev/null))
    local kept="${word%"${word##*[=:]}"}"  # bash replaces what comes after the last = or :
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
}
complete -o bashdefault -o default -F _maas maas"""

ZSH = r"""_maas() {
    local -a found
    found=(${(f)"$(maas completion words -- "${(j: :)words[1,CURRENT]}" 2>/dev/null)"})
    if (( $#found )); then compadd -S '' -- $found; else _files; fi
}
compdef _maas maas"""

FISH = r"""function __maas_words
    maas completion words -- (commandline -cp) 2>/dev/null
end
complete -c maas -a '(__maas_words)'"""

COMPLETION_SCRIPTS: Mapping[str, str] = dict(zip(SHELLS, (BASH, ZSH, FISH), strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a script, or words for one."""
    arguments = sys.argv[1:] if arguments is None else arguments
    is_json = wants_json(arguments)
    with reported("completion", is_json=True, resumes=False):
        if arguments[:2] == [WORDS_REQUEST, "--"]:
            say("\n".join(next_words(" ".join(arguments[2:]))))
            return
        line = CommandLine.parse("completion", arguments)
        if line.wants_help or not line.names or "help" in line.names:
            say((__doc__ or "").strip())
            return
        shell = line.names[0]
        if len(line.names) > 1 or shell not in COMPLETION_SCRIPTS:
            raise ConfigError(f"There is no completion for {' '.join(line.names)}.{nearest_of(shell, SHELLS)}")
        give(
            VerbOutcome({"shell": shell, "script": COMPLETION_SCRIPTS[shell]}, COMPLETION_SCRIPTS[shell]),
            is_json=is_json,
        )


if __name__ == "__main__":
    main()
