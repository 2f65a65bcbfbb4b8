"""The first non-finite number ends the run, and the error names it: no NaN is ever trained on or saved.

Each part checks its results in the order of computation, and if possible checks numbers that are reduced anyway.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import Config
from trpo_gail.errors import RunError

# No sensible flag exceeds these, and presets stay far below. A flag that does is the first to suspect.
_ORDINARY = {
    "ppo.learning_rate": 0.1, "ppo.entcoeff": 100.0, "ppo.kl_coeff": 1e6, "trpo.max_kl": 10.0, "trpo.entcoeff": 100.0,
    "policy.init_log_std": 20.0, "policy.output_scale": 100.0, "causal_entcoeff": 100.0,
    "critic.vf_stepsize": 0.1, "critic.natural_gradient.max_kl": 10.0,
    "trpo.cg_damping": 1e6, "critic.natural_gradient.cg_damping": 1e6,
    "discriminator.d_stepsize": 0.1, "discriminator.adversary_entcoeff": 100.0,
}  # fmt: skip
_STATISTICS = ("count", "mean", "meansq")  # of a normaliser
_LARGE = 1e6  # an observation or a reward above it is mentioned


S = TypeVar("S", bound=Mapping[str, Any])


class Part(Protocol):
    """Anything whose state a checkpoint holds."""

    def state_dict(self) -> Mapping[str, Any]: ...


@runtime_checkable
class Moving(Protocol):
    """A part that keeps more than what a step changes. Only what changes is checked: the rest would take a collective."""

    def moving(self) -> Mapping[str, Any]: ...


class NotFinite(RunError):
    """The first non-finite number of an iteration; the message names it."""


@dataclass(frozen=True)
class Reach:
    """Largest observation and reward of a batch, in magnitude, on one rank."""

    observation: float = 0.0
    reward: float = 0.0


def number(what: str, value: float) -> None:
    """Raise NotFinite unless this number, which is equal on all ranks, is finite."""
    if not math.isfinite(value):
        raise NotFinite(f"{what} is {value}")


def numbers(what: str, values: np.ndarray | Tensor) -> None:
    """Raise NotFinite, on this rank only, unless all of these are finite."""
    if isinstance(values, Tensor) and values.device.type != "cpu" and bool(torch.isfinite(values).all()):
        return  # one flag comes to the host, not all values
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    good = np.isfinite(array)
    if not good.all():
        raise NotFinite(f"{what} is {array[~good][0]} in {good.size - good.sum()} of {good.size} rows")


def checked(owner: str, stats: S, *parts: Part) -> S:
    """Return the statistics if they and the states of the parts are finite. All ranks have the same statistics.

    Raises NotFinite for the first number that is not finite, and RunError for what are no statistics.
    """
    if not isinstance(stats, Mapping):  # of a part from outside
        raise RunError(f"{owner}: its statistics are {type(stats).__name__}, a mapping of numbers expected")
    for name, value in stats.items():
        if value is not None:
            number(f"{name} of the {owner}", value)
    for part in parts:
        state = part.moving() if isinstance(part, Moving) else part.state_dict()
        for path, tensor in _tensors("", state):
            if not math.isfinite(float(tensor.sum())) and len(bad := tensor[~torch.isfinite(tensor)]):
                kind = (
                    "statistics" if path.endswith(_STATISTICS) else "Adam's state" if "adam" in path else "parameters"
                )
                raise NotFinite(f"{kind} of the {owner}: {path} holds {bad[0].item()}")
    return stats


def _tensors(path: str, content: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        yield path, content
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield from _tensors(f"{path}.{name}" if path else str(name), value)


def likely_cause(config: Config, reach: Reach | None = None) -> str:
    """The probable cause of a non-finite number, in words that name the flag; empty if nothing is suspect.

    `reach` is that of the last batch, whose large numbers may be the cause.
    """
    flags = flatten(config)
    causes = [
        f"--{name} {flags[name]:g} is extreme" for name, most in _ORDINARY.items() if abs(flags[name] or 0.0) > most
    ]
    remedy = "rescale them" if config.dtype == "float64" else "--dtype float64"
    if reach and reach.observation > _LARGE:
        causes.append(f"observations reach {reach.observation:.3g} ({remedy})")
    if reach and reach.reward > _LARGE and config.adversary == "env_reward":
        causes.append(f"the environment's rewards reach {reach.reward:.3g} ({remedy})")
    return f"; likely cause: {', and '.join(causes)}" if causes else ""
