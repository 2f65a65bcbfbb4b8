"""Completion for fish."""

from __future__ import annotations

from collections.abc import Iterator

from trpo_gail.commands.shells import table
from trpo_gail.commands.shells.table import Option

_HEAD = """\
# Completion of trpo-gail for fish: trpo-gail completion fish > ~/.config/fish/completions/trpo-gail.fish

function __trpo_gail_at # whether the words before this one begin with these
    set -l words (commandline -opc)
    set -l last (math (count $argv) + 1)
    test (count $words) -ge $last; and test "$words[2..$last]" = "$argv"
end

function __trpo_gail_only # whether there are so many words before this one
    test (count (commandline -opc)) -eq $argv[1]
end
"""


def script() -> str:
    """The whole script."""
    return "\n".join([_HEAD, *_lines(), ""])


def _lines() -> Iterator[str]:
    below = table.subcommands()
    for name, text in table.commands().items():
        yield f"{_begin('__trpo_gail_only 1')} -f -a {name} -d {_quoted(text)}"
    for name, subs in below.items():
        yield f"{_begin(f'__trpo_gail_at {name}; and __trpo_gail_only 2')} -f -a {_quoted(' '.join(subs))}"
    for name, options in table.options().items():
        condition = f"__trpo_gail_at {name}"
        condition += "".join(f"; and not __trpo_gail_at {name} {sub}" for sub in below.get(name, ()))
        if words := table.places().get(name):
            yield f"{_begin(condition)} -f -a {_quoted(' '.join(words))}"
        yield f"{_begin(condition)} -l help -d 'Show this page and exit'"
        for option in options:
            for flag in option.names:
                yield f"{_begin(condition)} -l {_quoted(flag[2:])}{_values(option)} -d {_quoted(option.text)}"


def _values(option: Option) -> str:
    if option.takes == "words":  # each quoted again, since fish expands them
        return f" -x -a {_quoted(' '.join(map(_quoted, option.words)))}"
    return {"nothing": "", "number": " -x", "file": " -r -F"}[option.takes]


def _begin(condition: str) -> str:
    return f"complete -c trpo-gail -n {_quoted(condition)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
