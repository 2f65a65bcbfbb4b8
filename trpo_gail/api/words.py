"""Errors and warnings in the words of Python: the parts below speak of flags, as on the command line."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from trpo_gail.config.leaves import leaves
from trpo_gail.config.tree import Config
from trpo_gail.errors import RunError, UserError
from trpo_gail.same_call import call_under_way
from trpo_gail.system import torch_settings

P = ParamSpec("P")
R = TypeVar("R")

_FLAG = re.compile(r"`[^`]*`|(?<![\w-])--([a-z]\w*(?:\.\w+)*)")  # a command line in backquotes stays
_NAMED = {"expert": "expert_dataset", "steps": "total_timesteps"}  # what has another name as a keyword


def in_python(text: str, name: Callable[[str], str] | None = None) -> str:
    """A text with names in place of flags; by default keywords: critic__fit of --critic.fit, max_kl where no more is
    needed."""
    called = name or keyword
    return _FLAG.sub(lambda found: called(found[1]) if found[1] else found[0], text)


def keyword(path: str) -> str:
    """The shortest keyword that means the flag of this path to `settings.path_of`."""
    known = leaves(Config)
    section, _, last = path.rpartition(".")
    positive = ".".join(filter(None, (section, last.removeprefix("no_"))))
    if path not in known and positive in known:
        return f"{keyword(positive)}=False"
    alike = [leaf for leaf in known.values() if leaf.name == last]
    if path in known and (len(alike) == 1 or known[path].short):
        return _NAMED.get(last, last)
    return path.replace(".", "__")


def in_words(function: Callable[P, R], name: Callable[[str], str] | None = None) -> Callable[P, R]:
    """The function, whose errors are in the words of Python, as `in_python` has them, whose name the ranks compare, and for
    which nothing is set around torch."""

    @functools.wraps(function)
    def speaking(*arguments: P.args, **keywords: P.kwargs) -> R:
        outer = call_under_way.set(function.__name__)
        try:
            with torch_settings.plain():
                return function(*arguments, **keywords)
        except (UserError, RunError) as error:
            error.args = (in_python(str(error), name),)
            raise
        finally:
            call_under_way.reset(outer)

    return speaking
