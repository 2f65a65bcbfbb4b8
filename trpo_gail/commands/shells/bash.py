"""Completion for bash."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from trpo_gail.commands.shells import table

_HEAD = """\
# Completion of trpo-gail for bash: eval "$(trpo-gail completion bash)", or keep it as a file named trpo-gail in
# ~/.local/share/bash-completion/completions.
"""
_FUNCTIONS = r"""
_trpo_gail_offer() { # of the words after the first, those that begin with it
    local word
    for word in "${@:2}"; do
        [[ $word == "$1"* ]] && COMPREPLY+=("$(printf %q "$word")")
    done
}

_trpo_gail() {
    local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} flag='' between=0 i word takes several words
    COMPREPLY=()
    [[ $current == = ]] && current=''
    if ((COMP_CWORD == 1)); then
        _trpo_gail_offer "$current" $(_trpo_gail_words '') --help --version
        compopt +o default 2>/dev/null
        return
    fi
    if ((COMP_CWORD > 2)) && [[ " $(_trpo_gail_words "$command") " == *" ${COMP_WORDS[2]} "* ]]; then
        command+=" ${COMP_WORDS[2]}"
    fi
    for ((i = COMP_CWORD - 1; i > 1; i--)); do # back to the last flag
        word=${COMP_WORDS[i]}
        if [[ $word == --* ]]; then
            word=${word//-/_}
            flag=--${word:2}
            break
        fi
        [[ $word == = ]] || ((between++))
    done
    read -r takes several words <<<"$(_trpo_gail_value "$command $flag")"
    if [[ -n $takes ]] && { ((between == 0)) || [[ $several == several && $current != -* ]]; }; then
        [[ $takes == words ]] && _trpo_gail_offer "$current" $words
        [[ $takes == file ]] || compopt +o default 2>/dev/null
    elif [[ $current == -* ]]; then
        _trpo_gail_offer "$current" $(_trpo_gail_flags "$command") --help
    elif ((COMP_CWORD == 2)); then
        _trpo_gail_offer "$current" $(_trpo_gail_words "$command")
    fi
}

complete -o default -F _trpo_gail trpo-gail
"""


def script() -> str:
    """The whole script."""
    below = {"": tuple(table.commands())}
    below |= {name: tuple(names) for name, names in table.subcommands().items()}
    for name, words in table.places().items():
        below[name] = (*below.get(name, ()), *words)
    flags = {
        name: tuple(flag for option in options for flag in option.names) for name, options in table.options().items()
    }
    values = {
        f"{name} {flag}": (option.takes, "several" if option.several else "one", *option.words)
        for name, options in table.options().items()
        for option in options
        for flag in option.names
        if option.takes != "nothing"
    }
    return "\n".join(
        [
            _HEAD,
            _case("words", "the commands, or what stands behind one", below),
            _case("flags", "the flags of a command", flags),
            _case("value", "what a command's flag takes", values),
            _FUNCTIONS.lstrip(),
        ]
    )


def _case(name: str, about: str, answers: Mapping[str, tuple[str, ...]]) -> str:
    """A function that prints the answer to its argument. What has the same answer is in one row."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for asked, words in answers.items():
        rows.setdefault(words, []).append(shlex.quote(asked))
    lines = [f"    {' | '.join(asked)}) echo {shlex.quote(' '.join(words))} ;;" for words, asked in rows.items()]
    return "\n".join([f"_trpo_gail_{name}() {{ # {about}", "    case $1 in", *lines, "    esac", "}", ""])
