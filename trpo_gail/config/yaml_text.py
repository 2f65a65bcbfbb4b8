"""YAML as settings need it: YAML 1.2's plain values, without duplicate keys.

pyyaml reads YAML 1.1, in which 1e-3 is a text, 10:13 a number and `no` false.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from trpo_gail.errors import UserError, absent

# The kind of a plain value: how it is written, the signs that it begins with, what it is.
_PLAIN: dict[str, tuple[str, list[str], Callable[[str], Any]]] = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""], lambda word: None),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF"), lambda word: word.lower() == "true"),
    "int": (r"[-+]?[0-9]+", list("-+0123456789"), int),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
        lambda word: float(word.lower().replace(".inf", "inf").replace(".nan", "nan")),
    ),
}  # fmt: skip


def parse(text: str, source: str) -> Any:
    """The content of a YAML file. Raises UserError if it is none, or if pyyaml is missing."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise UserError(f"{source}: {absent('pyyaml')}, or write FILE.json") from error
    try:
        made = yaml.load(text, _loader())
        json.dumps(made)  # what holds itself is refused
        return made
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise UserError(f"{source}: {line}{getattr(error, 'problem', None) or error}, YAML expected") from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, too deep
        raise UserError(f"{source}: {error}, YAML expected") from error


@cache
def _loader() -> Any:
    """pyyaml's safe loader with other plain values."""
    import re

    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - a name of pyyaml's

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            if not isinstance(node, yaml.MappingNode):  # !!map [1]
                raise yaml.MarkedYAMLError(problem="a mapping", problem_mark=node.start_mark)
            seen: list[Any] = []
            for key, _ in node.value:
                if key.value in seen:
                    raise yaml.MarkedYAMLError(problem=f"{key.value!r} given twice", problem_mark=key.start_mark)
                seen.append(key.value)
            made: dict[Any, Any] = super().construct_mapping(node, deep)
            return made

    def constructor(kind: str, form: str, value: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
        def construct(loader: Any, node: Any) -> Any:
            word = loader.construct_scalar(node)
            if not re.fullmatch(form, word):  # !!int abc
                raise yaml.MarkedYAMLError(problem=f"{word!r:.40} is no {kind}", problem_mark=node.start_mark)
            return value(word)

        return construct

    # No other kinds: dates, sets and bytes are nothing that a setting can be.
    kept = (None, *(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str")))  # None: what to do with another
    Loader.yaml_constructors = {tag: yaml.SafeLoader.yaml_constructors[tag] for tag in kept}
    for kind, (form, first, value) in _PLAIN.items():
        tag = f"tag:yaml.org,2002:{kind}"
        Loader.add_implicit_resolver(tag, re.compile(f"^(?:{form})$"), first)
        Loader.add_constructor(tag, constructor(kind, form, value))
    return Loader
