"""From the keywords of a constructor to a config: the names of Stable-Baselines, and any field of the tree.

A field may be given by its path, with a dot or with two underscores (critic__fit), by the name that it has as a flag
(max_kl), by its last name if no other field has that, and, of the generator's own section, by its last name.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from trpo_gail.api.words import in_words
from trpo_gail.config import idle, others
from trpo_gail.config.leaves import Leaf, flatten, leaves
from trpo_gail.config.presets import preset
from trpo_gail.config.tree import CloningConfig, Config
from trpo_gail.errors import UserError, listed
from trpo_gail.system import typed

# What other libraries call a field, or what has another place here: what to write instead.
ELSEWHERE = {
    "steps": "learn(total_timesteps)",
    "total_timesteps": "learn(total_timesteps)",
    "iterations": "learn(total_timesteps)",
    "expert": "expert_dataset",
    "env_id": "env",
    "eval_every": "learn(callback=EvalCallback(...))",
    "eval_episodes": "learn(callback=EvalCallback(...))",
    "final_episodes": "evaluate(n_episodes)",
    "save_every": "learn(callback=CheckpointCallback(...))",
    "ent_coef": "entcoeff",
    "gae_lambda": "lam",
    "n_steps": "timesteps_per_batch (n_steps times the number of environments)",
    "vf_coef": "vf_stepsize (the critic has a loss of its own)",
    "target_kl": "max_kl with trpo, or ppo__target_kl with ppo",
    "demonstrations": "expert_dataset",
    "demo_batch_size": "d_batch_size",
    "venv": "env",
    "out": "run_folder, or save(FILE) of BC",
}
_ASIDE = {"expert_dataset", "hidden_size", "policy_kwargs", "run_folder"}  # keywords that are no fields
_MAKERS = {  # fields that may name code, by their last names: what that makes
    "network": "a torch module of (inputs, outputs)",
    "adversary": "an adversary of (config, parts)",
    "generator": "a generator of (config, parts)",
}
_OF_CLONING = {  # of BC alone
    "learning_rate": "stepsize",
    "optimizer_kwargs": "stepsize",
    "train_fraction": "train_share",
    "policy_kwargs": "hidden_sizes",
    "n_epochs": "learn(n_epochs=...)",
    "run_folder": "save(FILE)",
    "tensorboard_log": "logger.records, or logger.add_sink(function)",
}
POLICIES = ("MlpPolicy", "CnnPolicy", "MultiInputPolicy")


@in_words
def config_of(
    env: str, policy: Any, kwargs: Mapping[str, Any] | None, preset_name: Any, top: Mapping[str, Any], **given: Any
) -> Config:
    """The config of a model for an environment's id. `top` are choices, `given` other fields by any of their names; of the
    given, `hidden_size` is of policy and critic. Raises UserError, in one line, for whatever is wrong with one."""
    _check("preset", preset_name, leaves(Config)["preset"])
    chosen = {name: _value(name, value, leaves(Config)[name]) for name, value in top.items()}
    named: dict[str, Any] = {}
    words: dict[str, str] = {}  # by path, the keyword that gave it
    for word, pairs in (
        ("policy_kwargs", _of_policy(policy, kwargs)),
        ("hidden_size", _sizes(given.pop("hidden_size", None))),
    ):
        for path, value in pairs:
            _once(words, path, word)
            if path in named:
                raise UserError(f"{word}: {path.replace('.', '__')} is given twice, by two of its names")
            named[path] = value
    words = {path: word for path, word in words.items() if word != "hidden_size"}  # of which a network may have its own
    for name, value in _flat(given):
        path = path_of(Config, name, chosen.get("generator", ""))
        _once(words, path, name)
        named[path] = _value(name, value, leaves(Config)[path])
    # All at once, since a choice may need a field; evaluations are a callback's.
    made = preset(preset_name, env, **{**chosen, **named, "eval_every": 0})
    _refuse_idle(made, {path for path in named if path not in _of_sections(given)})
    return made


def _once(words: dict[str, str], path: str, word: str) -> None:
    """Note which keyword gives a field. Raises UserError if another one does already."""
    if path in words and words[path] != word:
        raise UserError(f"{word}: given, but {words[path]} gives the same field")
    words[path] = word


def _refuse_idle(config: Config, paths: set[str]) -> None:
    """Raise UserError for a field without effect, even if it is given at its default."""
    flat = flatten(config)
    for path in paths:
        if why := idle.reason(flat, path):
            raise UserError(f"--{path}: given, but {why}")


def _of_sections(given: Mapping[str, Any]) -> set[str]:
    """The paths of whole sections, which have all fields, whether they have an effect or not."""
    whole = {name.replace("__", "."): value for name, value in given.items() if dataclasses.is_dataclass(value)}
    return {f"{section}.{field}" for section, value in whole.items() for field in flatten(value)}


def path_of(cls: type, name: str, own: str = "") -> str:
    """The path of the field that a keyword names; `own` is the section whose fields need no more than their names. Raises
    UserError."""
    known, path = leaves(cls), name.replace("__", ".")
    if name in ELSEWHERE and f"{own}.{name}" not in known and (cls, name) != (CloningConfig, "eval_every"):
        raise UserError(f"{name}: no name of a setting here: use {ELSEWHERE[name]}")
    if cls is CloningConfig and name in _OF_CLONING:
        raise UserError(f"{name}: no name of a setting of BC: use {_OF_CLONING[name]}")
    for found in (path, f"{own}.{name}"):
        if found in known:
            return found
    if short := next((leaf.path for leaf in known.values() if leaf.short and leaf.name == name), None):
        return short
    if cls is Config and (said := others.NAMES.get(name)):
        raise UserError(f"{name}: no name of a setting here: use {said}")
    alike = [leaf.path for leaf in known.values() if leaf.name == name]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise UserError(f"{name}: several fields have this name, expected one of {listed(_keywords(alike))}")
    names = {leaf.name for leaf in known.values()} | set(_keywords(known)) | {"hidden_size"}
    near = get_close_matches(name, sorted(names), 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise UserError(f"{name}: no parameter or field has this name{meant}")


def is_setting(name: str) -> bool:
    """Whether a constructor takes a keyword of this name for a setting, or names the one that is meant by it."""
    known = name in ELSEWHERE or name in others.NAMES or name in _ASIDE
    return known or any(leaf.name == name for leaf in leaves(Config).values())


def checked(cls: type, name: str, value: Any) -> tuple[str, Any]:
    """The path and the value of a keyword of a flat tree. Raises UserError."""
    path = path_of(cls, name)
    return path, _value(name, value, leaves(cls)[path])


def _keywords(paths: Any) -> list[str]:
    return [path.replace(".", "__") for path in paths]


def _flat(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keywords and values; a section, as a mapping or as a dataclass of `config.tree`, is its fields."""
    sections = {leaf.section for leaf in leaves(Config).values() if leaf.section}
    for name, value in given.items():
        path = name.replace("__", ".")
        if path not in sections:
            yield name, value
        elif dataclasses.is_dataclass(value) or isinstance(value, Mapping):
            inner = value if isinstance(value, Mapping) else flatten(value)
            yield from ((f"{path}.{field}", item) for field, item in inner.items())
        else:
            raise UserError(f"{name}: {value!r:.60} given, a mapping of fields expected")


def _value(name: str, value: Any, leaf: Leaf) -> Any:
    """In the field's own type. Raises UserError for another."""
    if leaf.name == "env_kwargs" and isinstance(value, Mapping):
        try:
            return json.dumps(dict(value))
        except (TypeError, ValueError) as error:
            raise UserError(f"{name}: {error}: expected what JSON can hold, or env as a function") from error
    value = _named(name, value, leaf.name) if leaf.name in _MAKERS and callable(value) else typed.plain(value)
    _check(name, value, leaf)
    return value


def _named(name: str, made: Any, of: str) -> str:
    """`module:name` of a class or a function that makes what a field of the name `of` is. Raises UserError if it cannot be
    found by that again."""
    module, called = getattr(made, "__module__", ""), getattr(made, "__qualname__", type(made).__name__)
    if getattr(sys.modules.get(module), called, None) is not made:
        raise UserError(
            f"{name}: {called} of {module or 'no module'} cannot be found by its name: a class or a function at the top of a "
            f"module expected, which makes {_MAKERS[of]}"
        )
    return f"{module}:{called}"


def _check(name: str, value: Any, leaf: Leaf) -> None:
    typed.check(typed.plain(value), leaf.hint, name)


def _sizes(size: Any) -> Iterator[tuple[str, Any]]:
    """Units of both hidden layers of policy and critic, or of each layer."""
    if size is None:
        return
    sizes = both_layers(size)
    for path in ("policy.hidden_sizes", "critic.hidden_sizes"):
        _check("hidden_size", sizes, leaves(Config)[path])
        yield path, sizes


def both_layers(size: Any) -> Any:
    """Units of two hidden layers, by one number or by one for each layer."""
    return (size, size) if isinstance(size := typed.plain(size), int) else size


def _of_policy(policy: Any, kwargs: Mapping[str, Any] | None) -> Iterator[tuple[str, Any]]:
    """What `policy` and `policy_kwargs` of Stable-Baselines say about the networks. Raises UserError."""
    if callable(policy) or (isinstance(policy, str) and ":" in policy):
        yield "policy.network", _value("policy", policy, leaves(Config)["policy.network"])
    elif not isinstance(policy, str) or policy not in POLICIES:
        raise UserError(
            f"policy: {policy!r:.60} given, one of {', '.join(POLICIES)} or a class of torch modules expected"
        )
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise UserError(f"policy_kwargs: {kwargs!r:.60} given, a mapping expected")
    for name, value in (kwargs or {}).items():
        if name == "net_arch":
            yield from _architecture(value)
        elif name in ("act_fun", "activation_fn"):
            if getattr(value, "__name__", str(value)).lower() != "tanh":
                raise UserError(
                    f"policy_kwargs: {name}: {value!r:.60} given, tanh expected: policy and critic have no other"
                )
        else:
            path = "policy.init_log_std" if name == "log_std_init" else f"policy.{name}"
            if path not in leaves(Config):
                known = [leaf.name for leaf in leaves(Config).values() if leaf.section == "policy"]
                raise UserError(
                    f"policy_kwargs: {name}: expected net_arch, log_std_init, activation_fn or one of {', '.join(known)}"
                )
            yield path, _value(f"policy_kwargs: {name}", value, leaves(Config)[path])


def _architecture(arch: Any) -> Iterator[tuple[str, Any]]:
    """Hidden layers of policy (pi) and critic (vf)."""
    if isinstance(arch, (list, tuple)) and len(arch) == 1 and isinstance(arch[0], Mapping):
        arch = arch[0]  # as older versions of Stable-Baselines3 wrote it
    both = arch if isinstance(arch, Mapping) else {"pi": arch, "vf": arch}
    if strange := set(both) - {"pi", "vf"}:
        raise UserError(f"policy_kwargs: net_arch: {min(map(str, strange))!r} given, pi and vf expected")
    for name, section in (("pi", "policy"), ("vf", "critic")):
        if name in both:
            path = f"{section}.hidden_sizes"
            yield path, _value("policy_kwargs: net_arch", both[name], leaves(Config)[path])
