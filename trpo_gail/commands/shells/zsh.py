"""Completion for zsh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trpo_gail.commands.shells import table
from trpo_gail.commands.shells.table import Option

_HEAD = """\
#compdef trpo-gail
# Completion of trpo-gail for zsh: keep it as a file named _trpo-gail in a folder of $fpath, or
# source <(trpo-gail completion zsh) after compinit.

_trpo_gail() {
    local command=$words[2]
    local -a names
"""
_TAIL = """\
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _trpo_gail "$@"
else
    compdef _trpo_gail trpo-gail
fi
"""


def script() -> str:
    """The whole script."""
    return "\n".join([_HEAD.rstrip(), *_begin(), '    case "$command" in', *_commands(), "    esac", _TAIL])


def _begin() -> Iterator[str]:
    """The first word is a command; a second one may be a subcommand."""
    yield from _names("(( CURRENT == 2 ))", table.commands(), leave=True)
    for name, subs in table.subcommands().items():
        has_flags = name in table.options()
        yield from _names(f"[[ $command == {name} ]] && (( CURRENT == 3 ))", dict.fromkeys(subs, ""), not has_flags)
        words = "|".join(subs)
        yield f"    if [[ $command == {name} && $words[3] == ({words}) ]] && (( CURRENT > 3 )); then"
        yield '        command+=" $words[3]"'
        yield "        shift words; (( CURRENT-- ))"
        yield "    fi"
    yield "    shift words; (( CURRENT-- ))"


def _names(condition: str, names: Mapping[str, str], leave: bool) -> Iterator[str]:
    yield f"    if {condition}; then"
    rows = [_quoted(f"{name}:{text}" if text else name) for name, text in names.items()]
    yield f"        names=({' '.join(rows)})"
    yield "        _describe command names" + (" && return" if leave else "")
    yield "    fi"


def _commands() -> Iterator[str]:
    for name, options in table.options().items():
        yield f"        {_quoted(name)})"
        rows = [_spec(option, flag) for option in options for flag in option.names]
        places = table.places().get(name)
        rest = f"*: :({' '.join(map(_escaped, places))})" if places else "*: :_files"
        specs = [_quoted("--help[Show this page and exit]"), *map(_quoted, rows), _quoted(rest)]
        yield "            _arguments \\\n                " + " \\\n                ".join(specs)
        yield "            ;;"


def _spec(option: Option, flag: str) -> str:
    """A flag as _arguments takes it."""
    head = f"*{flag}" if option.takes == "nothing" or option.several else f"*{flag}="
    head += f"[{_escaped(option.text, '[]:')}]"
    if option.takes == "nothing":
        return head
    action = {"words": f"({' '.join(map(_escaped, option.words))})", "file": "_files", "number": " "}[option.takes]
    return f"{head}:{'*--*:' if option.several else ''}value:{action}"


def _escaped(text: str, signs: str = "():") -> str:
    return "".join(f"\\{sign}" if sign in signs + "\\" else sign for sign in text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
