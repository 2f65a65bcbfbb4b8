"""Environments by names: `module:name` of a class or function, and by which name to make again what Python code gave."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.system.own_modules import imported

_KNOWN = ("gymnasium", "trpo_gail")  # packages whose environments are registered without a module's name
SEARCHED = "modules are looked for in the current folder, in PYTHONPATH and among the installed packages"


def maker(env_id: str) -> Callable[..., Any] | None:
    """Of `module:name` the class or function at the top of the module, unless its package registers an id of this name; None
    for any other id. Raises UserError for a module that is not there."""
    module, colon, name = env_id.partition(":")
    if not colon:
        return None
    if module.endswith(".py"):
        raise UserError(f"environment {env_id!r}: {module} given, {_module_of(module)}:{name} expected, without .py")
    if not all(part.isidentifier() for part in module.split(".")):
        raise UserError(f"environment {env_id!r}: {module!r} is no module's name, such as package.module; {SEARCHED}")
    try:
        found = getattr(imported(module), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # one that this module imports
        raise UserError(f"environment {env_id!r}: no module {module!r}: {SEARCHED}") from error
    registered = any(
        name in (spec.id, spec.name) and module.partition(".")[0] == _home(spec).partition(".")[0]
        for spec in gymnasium.registry.values()
    )
    return found if callable(found) and not registered else None


def _module_of(file: str) -> str:
    """The name by which a file's module is found: of a file elsewhere, once its folder is in PYTHONPATH."""
    path = PurePath(file).with_suffix("")
    return path.stem if path.is_absolute() or ".." in path.parts else ".".join(path.parts)


def _home(spec: Any) -> str:
    """The module of what a registered id is made by."""
    return getattr(spec.entry_point, "__module__", None) or str(spec.entry_point).partition(":")[0]


def is_known(env_id: str) -> bool:
    """Whether an id is registered for an environment of gymnasium or of our own."""
    spec = gymnasium.registry.get(env_id)
    return spec is not None and _home(spec).partition(".")[0] in _KNOWN


def hint(env_id: str) -> str:
    """What to write in place of an id that gymnasium does not know."""
    module, colon, name = env_id.partition(":")
    if colon:
        return f"module {module} neither registers it nor has a class or function {name}"
    return f"if a module of yours registers it, MODULE:{env_id} expected"


class Reference(NamedTuple):
    """What messages and files call an environment that Python code gave."""

    name: str
    task: str  # whose returns it has, wrapped or not: an id or a class
    lacks: str | None = None  # why this name does not make it; None if it does


def of_maker(make: Any, made: gymnasium.Env) -> Reference:
    """Of a class or function, and what it made: what `of_env` finds, or else `module:name` if it is found by that."""
    found = of_env(made)
    module, name = getattr(make, "__module__", None), getattr(make, "__qualname__", type(make).__name__)
    if found.lacks is None:
        return found
    short = name.rpartition(".")[2]
    if module == "__main__":
        return found._replace(lacks=f"{short} is of the script that was started")
    if getattr(sys.modules.get(str(module)), name, None) is make:
        return found._replace(name=f"{module}:{name}", lacks=None)
    return found._replace(lacks=f"{short} is not at the top of a module")


def of_env(env: gymnasium.Env) -> Reference:
    """Of an object: its id, behind the module that registers it, if gymnasium makes it again by that."""
    spec = spec_of(env)
    if spec is None:
        kind = type(env.unwrapped).__name__
        return Reference(kind, kind, f"{kind} is not registered")
    known = gymnasium.registry.get(spec.id)
    module = _home(spec)
    if known is None or known.entry_point != spec.entry_point or module == "__main__":
        return Reference(spec.id, spec.id, f"no module registers {spec.id}")
    name = spec.id if module.partition(".")[0] in _KNOWN else f"{module}:{spec.id}"
    if spec.additional_wrappers:
        return Reference(spec.id, spec.id, f"{spec.id} is wrapped in {spec.additional_wrappers[-1].name}")
    if spec.max_episode_steps != known.max_episode_steps or not _equal(_arguments(spec), _arguments(known)):
        return Reference(spec.id, spec.id, f"{spec.id} has other arguments than it is registered with")
    return Reference(name, spec.id)


def spec_of(env: gymnasium.Env) -> Any:
    """What gymnasium registers of an environment; None if nothing is registered, whatever else is called `spec`."""
    own = isinstance(getattr(env.unwrapped, "spec", None), gymnasium.envs.registration.EnvSpec)
    return env.spec if own else None


def _equal(one: Any, other: Any) -> bool:
    """Whether arguments are equal, which may be arrays or hold some."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    try:
        return bool(one is other or one == other)
    except Exception:  # of any class
        return False


def _arguments(spec: Any) -> dict[str, Any]:
    """Those that change what it does."""
    return {name: value for name, value in spec.kwargs.items() if name != "render_mode"}
