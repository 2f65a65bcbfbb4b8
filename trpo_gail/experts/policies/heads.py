"""From weights by name to actions, for the families of policies that Stable-Baselines3 and sb3-contrib save.

Which family it is the names of the weights tell. n rows, O observation size, A action size, K noise size, H hidden.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor, nn

from trpo_gail.errors import UserError, listed
from trpo_gail.experts.files.unpickling import Kind
from trpo_gail.sampling.rollout import Noise

# Of torch.nn, with the arguments that they have by default, as Stable-Baselines3 makes them.
_ACTIVATIONS = (
    "ReLU",
    "Tanh",
    "ELU",
    "LeakyReLU",
    "GELU",
    "SiLU",
    "SELU",
    "CELU",
    "Sigmoid",
    "Softplus",
    "Mish",
    "ReLU6",
)
_LOG_STD = (-20.0, 2.0)  # SAC and TQC clamp theirs
_GSDE_EPSILON = 1e-6
_CLIP_MEAN = 2.0  # of SAC and TQC with gSDE, unless policy_kwargs say otherwise
_REFUSED = (
    (r"lstm|\.rnn|gru", "a recurrent policy, whose memory is not kept here"),
    (r"features_extractor\..*(weight|bias)", "a features extractor of its own (a CNN, or one for Dict observations)"),
    (r"\.(?!weight$|bias$|log_std$)\w+$", "layers that are not linear (batch normalisation, as CrossQ's)"),
)


@dataclass(frozen=True)
class Parts:
    """What a file says of its policy."""

    path: Path
    weights: dict[str, Tensor]
    policy: str  # module and name of its class
    arguments: dict[str, Any]  # policy_kwargs
    action_space: Any
    gsde: bool


class Head(Protocol):
    """Observations [n, O] float32, normalised, and noise [n, K] to actions."""

    noise_kind: Noise
    noise_size: int

    def act(self, observations: Tensor, noise: np.ndarray) -> np.ndarray: ...


def of(parts: Parts) -> tuple[Head, str]:
    """The head, and what its family is called. Raises UserError, with the reason, if it cannot be rebuilt."""
    names = list(parts.weights)
    for pattern, what in _REFUSED:
        if any(re.search(pattern, name) for name in names):
            raise UserError(f"{parts.path}: the policy has {what}: not read; --policy module:function records it")
    if "maskable" in parts.policy:
        raise UserError(f"{parts.path}: a policy with action masks, which no recording has: not read")
    for names_it, make, family in _FAMILIES:
        if names_it(parts.weights):
            try:
                return make(parts), family
            except (KeyError, RuntimeError) as error:
                raise UserError(
                    f"{parts.path}: member 'policy.pth': weights are missing or of other shapes: {error}"
                ) from error
    raise UserError(f"{parts.path}: a policy that is not known, with weights {listed(names)}")


# ---- the families ----------------------------------------------------------------------------------------------------


@dataclass
class Greedy:
    """The likeliest or best-valued label; logits may be sampled by Gumbel noise."""

    values: Callable[[Tensor], Tensor]  # [n, O] to [n, A]
    noise_size: int  # A of logits, 0 of values
    noise_kind: Noise = "gumbel"

    def act(self, observations: Tensor, noise: np.ndarray) -> np.ndarray:
        values = self.values(observations).numpy()
        return (values + noise if self.noise_size else values).argmax(axis=1)


@dataclass
class Real:
    """A mean, and a Gaussian's deviation around it; then tanh and from [-1, 1] to the bounds, or clipped to the bounds."""

    mean: Callable[[Tensor], tuple[Tensor, Tensor | None]]  # [n, O] to mean and deviation [n, A]; None: deterministic
    low: np.ndarray  # [A]
    high: np.ndarray  # [A]
    noise_size: int
    squash: Callable[[Tensor], Tensor] | None  # None: the bounds clip
    noise_kind: Noise = "normal"

    def act(self, observations: Tensor, noise: np.ndarray) -> np.ndarray:
        mean, std = self.mean(observations)
        if std is not None and noise.any():
            mean = mean + std * torch.from_numpy(noise.astype(np.float32))
        if self.squash is None:
            return np.clip(mean.numpy(), self.low, self.high)
        scaled = self.squash(mean).numpy()
        return self.low + 0.5 * (scaled + 1.0) * (self.high - self.low)


def _actor_critic(parts: Parts) -> Head:
    """PPO, A2C, TRPO."""
    activation = _activation(parts, "Tanh")
    shared = _mlp(parts.weights, "mlp_extractor.shared_net", activation, last=True)  # before 1.8
    latent_net = nn.Sequential(shared, _mlp(parts.weights, "mlp_extractor.policy_net", activation, last=True))
    out = _linear(parts.weights, "action_net")
    if isinstance(parts.action_space, Discrete):
        return Greedy(lambda o: out(latent_net(o)), int(parts.action_space.n))
    log_std = parts.weights["log_std"]
    std = _gsde_std(log_std, parts) if parts.gsde else log_std.exp()

    def mean(observations: Tensor) -> tuple[Tensor, Tensor]:
        latent = latent_net(observations)
        return out(latent), _gsde(latent, std) if parts.gsde else std

    squash = torch.tanh if parts.arguments.get("squash_output") and parts.gsde else None
    return _real(parts, mean, squash, noisy=True)


def _squashed(parts: Parts) -> Head:
    """SAC, TQC."""
    latent_net = _mlp(parts.weights, "actor.latent_pi", _activation(parts, "ReLU"), last=True)
    if parts.gsde:
        clip = float(parts.arguments.get("clip_mean", _CLIP_MEAN))
        out = _linear(parts.weights, "actor.mu.0" if clip > 0.0 else "actor.mu")
        std = _gsde_std(parts.weights["actor.log_std"], parts)

        def gsde(observations: Tensor) -> tuple[Tensor, Tensor]:
            latent = latent_net(observations)
            mean = out(latent)
            return mean.clamp(-clip, clip) if clip > 0.0 else mean, _gsde(latent, std)

        return _real(parts, gsde, torch.tanh, noisy=True)
    out, log_std = _linear(parts.weights, "actor.mu"), _linear(parts.weights, "actor.log_std")

    def mean(observations: Tensor) -> tuple[Tensor, Tensor]:
        latent = latent_net(observations)
        return out(latent), log_std(latent).clamp(*_LOG_STD).exp()

    return _real(parts, mean, torch.tanh, noisy=True)


def _deterministic(parts: Parts) -> Head:
    """TD3, DDPG."""
    net = _mlp(parts.weights, "actor.mu", _activation(parts, "ReLU"))
    return _real(parts, lambda o: (net(o), None), torch.tanh, noisy=False)


def _values(parts: Parts) -> Head:
    """DQN."""
    return Greedy(_mlp(parts.weights, "q_net.q_net", _activation(parts, "ReLU")), 0)


def _quantiles(parts: Parts) -> Head:
    """QR-DQN: the mean over quantiles."""
    net, labels = (
        _mlp(parts.weights, "quantile_net.quantile_net", _activation(parts, "ReLU")),
        int(parts.action_space.n),
    )

    def values(observations: Tensor) -> Tensor:
        out: Tensor = net(observations)
        return out.view(len(out), -1, labels).mean(dim=1)

    return Greedy(values, 0)


def _random_search(parts: Parts) -> Head:
    """ARS: an MLP with tanh, or a linear policy that is clipped."""
    net = _mlp(parts.weights, "action_net", _activation(parts, "ReLU"))
    if isinstance(parts.action_space, Discrete):
        return Greedy(net, 0)
    squashed = parts.arguments.get("squash_output", not parts.policy.endswith("ARSLinearPolicy"))
    return _real(parts, lambda o: (net(o), None), torch.tanh if squashed else None, noisy=False)


def _real(
    parts: Parts,
    mean: Callable[[Tensor], tuple[Tensor, Tensor | None]],
    squash: Callable[[Tensor], Tensor] | None,
    *,
    noisy: bool,
) -> Head:
    space = parts.action_space
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise UserError(f"{parts.path}: action_space: expected a Box of one dimension, found {space}")
    return Real(mean, space.low, space.high, space.shape[0] if noisy else 0, squash)


# The first whose names are there. A function's name in a saved file is not kept: only what it made is.
_FAMILIES: tuple[tuple[Callable[[dict[str, Tensor]], bool], Callable[[Parts], Head], str], ...] = (
    (lambda w: any(name.startswith("actor.log_std") for name in w), _squashed, "SAC or TQC"),
    (lambda w: "actor.mu.0.weight" in w, _deterministic, "TD3 or DDPG"),
    (lambda w: "quantile_net.quantile_net.0.weight" in w, _quantiles, "QR-DQN"),
    (lambda w: "q_net.q_net.0.weight" in w, _values, "DQN"),
    (lambda w: "action_net.0.weight" in w, _random_search, "ARS"),
    (lambda w: "action_net.weight" in w, _actor_critic, "PPO, A2C or TRPO"),
)


# ---- their parts -----------------------------------------------------------------------------------------------------


def _gsde_std(log_std: Tensor, parts: Parts) -> Tensor:
    """[H, A], or [H, 1] for all actions alike."""
    if not parts.arguments.get("use_expln"):
        return log_std.exp()
    above = torch.log1p(log_std.clamp(min=0.0) + _GSDE_EPSILON) + 1.0
    return torch.where(log_std > 0, above, log_std.exp())


def _gsde(latent: Tensor, std: Tensor) -> Tensor:
    """The deviation [n, A] of one step's action. Stable-Baselines3 keeps the noise over steps; here each draws its own."""
    return torch.sqrt(latent**2 @ std**2 + _GSDE_EPSILON)


def _activation(parts: Parts, default: str) -> Callable[[], nn.Module]:
    given = parts.arguments.get("activation_fn")
    named = given.name if isinstance(given, Kind) else None
    name = default if given is None else str(named).rpartition(".")[2]
    if name not in _ACTIVATIONS or (named and not named.startswith("torch.nn.")):
        raise UserError(
            f"{parts.path}: activation_fn: expected one of {', '.join(_ACTIVATIONS)}, found {named or given!r}"
        )
    made: Callable[[], nn.Module] = getattr(nn, name)
    return made


def _mlp(weights: dict[str, Tensor], prefix: str, activation: Callable[[], nn.Module], last: bool = False) -> nn.Module:
    """The linear layers under a prefix, with the activation between them, and after the last one if asked for."""
    numbers = sorted(int(m[1]) for name in weights if (m := re.fullmatch(rf"{re.escape(prefix)}\.(\d+)\.weight", name)))
    layers: list[nn.Module] = []
    for number in numbers:
        layers += [_linear(weights, f"{prefix}.{number}"), activation()]
    return nn.Sequential(*(layers if last else layers[:-1]))


def _linear(weights: dict[str, Tensor], name: str) -> nn.Module:
    weight, bias = weights[f"{name}.weight"], weights.get(f"{name}.bias")
    if weight.ndim != 2:
        raise KeyError(f"{name}.weight has shape {list(weight.shape)}, a matrix was expected")
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer
