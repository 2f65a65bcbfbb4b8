"""A tree as JSON holds it, and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from trpo_gail.config import idle
from trpo_gail.config.leaves import build
from trpo_gail.config.tree import AIRLConfig, CloningConfig, Config, CriticConfig, DiscriminatorConfig, PolicyConfig
from trpo_gail.errors import UserError
from trpo_gail.system import typed

# What came after 0.1.0, by the tree or section that has it: old files lack it, and it is at its default, but where things
# were otherwise then.
_SINCE_0_1_0: dict[type, tuple[str, ...]] = {
    Config: (
        "action_scaling", "max_episode_steps", "task_weight", "task_weight_end", "fixed_horizon", "init_policy",
        "reward_file", "warmup_iterations", "airl", "cloning", "success",
    ),
    CloningConfig: ("action_scaling", "max_episode_steps", "policy", "success"),
    PolicyConfig: ("encoder", "images", "numbers", "network"),
    CriticConfig: ("network",),
    AIRLConfig: ("entropy_weight",),
    DiscriminatorConfig: (
        "network", "hidden_sizes", "activation", "inputs", "ignore", "normalise_decay", "loss", "label_smoothing",
        "positive_prior", "gradient_penalty", "gradient_penalty_target", "gradient_penalty_sides", "gradient_penalty_at",
        "spectral_norm", "dropout", "weight_decay", "logit_penalty", "mixup", "schedule", "expert_batch_size",
        "replay_iterations", "replay_share", "rest_above", "absorbing", "reward_normalise", "reward_clip", "reward_scale",
    ),
}  # fmt: skip
_OTHERWISE = {
    "action_scaling": False, "absorbing": False, "gradient_penalty": 0.0, "normalise_decay": 1.0, "entropy_weight": 1.0,
}  # fmt: skip


def _since(cls: type) -> dict[str, Any]:
    """What a file of 0.1.0 lacks of a tree or section, as JSON holds it."""
    defaults: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.name in _SINCE_0_1_0.get(cls, ()):
            made: Any = field.default_factory() if callable(field.default_factory) else field.default
            defaults[field.name] = json.loads(json.dumps(made, default=dataclasses.asdict))
    return defaults | {name: value for name, value in _OTHERWISE.items() if name in defaults}


def to_dict(config: Any) -> dict[str, Any]:
    """As JSON holds it."""
    return dataclasses.asdict(config)


def from_dict(cls: type, values: Any, source: str) -> Any:
    """Build a tree from what `to_dict` gave; unknown and missing keys are errors that name the source.

    Keys that came later than the file's version may be missing: they are as things were then. Values that decide nothing,
    which older versions accepted, become defaults.
    """
    flat = dict(_flat(cls, values, source))
    try:
        return idle.settled(cls, flat) if cls is Config else build(cls, flat)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error


def _flat(cls: type, values: Any, source: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a tree that a file holds, each of its field's type."""
    hints = typed.hints(cls)
    typed.check(values, dict, source)
    values = _since(cls) | values
    if wrong := set(values) ^ set(hints):
        raise UserError(f"{source}: the config has keys that this version does not know or lacks: {sorted(wrong)}")
    for name, value in values.items():
        if dataclasses.is_dataclass(hints[name]):
            yield from _flat(hints[name], value, source, f"{prefix}{name}.")
        else:
            typed.check(value, hints[name], f"{source}: field {name!r}")
            yield prefix + name, tuple(value) if isinstance(value, list) else value
