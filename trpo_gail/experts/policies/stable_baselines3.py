"""Policies of Stable-Baselines3 and sb3-contrib, from their zip files, without either library.

`data` is JSON whose objects stand in it as pickles, and those are read as plain records; `policy.pth` holds weights, which
torch reads as weights only; `vecnormalize.pkl` beside the file, or in the folder beside it as the zoo has it, normalises
the observations. No pickle runs code. What this cannot rebuild is refused with the reason: policies of one's own, other
features than the observation itself, recurrent policies and those with masks.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from trpo_gail.errors import UserError, shortened
from trpo_gail.experts.files import hdf5, unpickling
from trpo_gail.experts.policies import heads
from trpo_gail.experts.policies.heads import Head, Parts
from trpo_gail.sampling.rollout import Noise
from trpo_gail.spaces.spec import EnvSpec

NAME = "a policy of Stable-Baselines3 (.zip)"
LARGEST = 2**28  # bytes of a member of the zip file, and of all weights
_DATA, _WEIGHTS, _NORMALISER = "data", "policy.pth", "vecnormalize.pkl"
_TIME_STEPS = 1000  # of sb3-contrib's time feature, if nothing limits an episode


@dataclass(frozen=True)
class Normaliser:
    """Running statistics of observations, as VecNormalize applies them."""

    mean: np.ndarray  # [O]
    scale: np.ndarray  # [O]
    clip: float

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        return np.clip((observations - self.mean) / self.scale, -self.clip, self.clip)


@dataclass
class StableBaselinesPolicy:
    """Gives actions as Stable-Baselines3 executes them: clipped to the bounds, or from tanh to the bounds."""

    head: Head
    noise_kind: Noise
    noise_size: int  # K
    normaliser: Normaliser | None
    observation_size: int
    action_size: int
    discrete: bool
    has_clock: bool  # the last column of its observations may be sb3-contrib's time feature
    description: str
    checksum: str  # SHA-256 of the zip file
    clock: int | None = None  # steps from 1 down to 0 of the time feature that `for_env` has found out
    step: int = 0  # of the episodes under way, which begin together

    @property
    def action_view(self) -> str:
        return "raw" if self.discrete else "executed"

    def for_env(self, spec: EnvSpec) -> StableBaselinesPolicy:
        """The same, with the time feature made here if the environment lacks just that column."""
        if not self.has_clock or spec.observation_size != self.observation_size - 1:
            return self
        steps = spec.max_episode_steps or _TIME_STEPS
        said = f"{self.description}, time feature over {steps} steps"
        return replace(self, observation_size=spec.observation_size, clock=steps, description=said)

    def begin(self) -> None:
        """All episodes are at their start: a time feature counts from here."""
        self.step = 0

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [n, A] float32, or [n] int64, for observations [n, O] and noise [n, K]."""
        rows = np.asarray(observations)
        if self.clock:
            left = np.full((len(rows), 1), 1.0 - self.step / self.clock, np.float32)
            rows, self.step = np.concatenate([rows, left], axis=1), self.step + 1
        if self.normaliser:
            rows = self.normaliser(rows)
        with torch.no_grad():
            return self.head.act(torch.from_numpy(rows.astype(np.float32)), noise)


def holds(path: Path) -> bool:
    """Whether it is a zip file with Stable-Baselines3's members."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {_DATA, _WEIGHTS} <= set(archive.namelist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False


def read(path: Path) -> StableBaselinesPolicy:
    """Raises UserError, with the reason, for a file that is damaged and for a policy that cannot be rebuilt."""
    data, weights = _content(path)
    kwargs = _object(data, "policy_kwargs", path)
    observed = _space(data, "observation_space", path)
    parts = Parts(
        path=path,
        weights=weights,
        policy=_policy_class(data, path),
        arguments=kwargs if isinstance(kwargs, dict) else {},
        action_space=_space(data, "action_space", path),
        gsde=bool(data.get("use_sde")),
    )
    if not isinstance(observed, Box) or len(observed.shape) != 1:
        raise UserError(f"{path}: observation_space: expected a Box of one dimension, found {observed}")
    head, family = heads.of(parts)
    _check_sizes(head, observed.shape[0], path)
    normaliser, beside = _normaliser(path)
    if normaliser and observed.shape[0] != len(normaliser.mean):
        expected, found = observed.shape[0], len(normaliser.mean)
        raise UserError(f"{beside}: observation statistics: expected {expected} as {path.name} has, found {found}")
    space: Any = parts.action_space
    said = f", normalised by {_NORMALISER}" if normaliser else ""
    return StableBaselinesPolicy(
        head=head,
        noise_kind=head.noise_kind,
        noise_size=head.noise_size,
        normaliser=normaliser,
        observation_size=observed.shape[0],
        action_size=int(space.n) if isinstance(space, Discrete) else space.shape[0],
        discrete=isinstance(space, Discrete),
        has_clock=observed.shape[0] > 1 and bool(observed.low[-1] == 0.0 and observed.high[-1] == 1.0),
        description=f"{path.name} (Stable-Baselines3, {family}{said})",
        checksum=hdf5.sha256(path),
    )


def _check_sizes(head: Head, size: int, path: Path) -> None:
    """That the weights take such observations."""
    try:
        with torch.no_grad():
            head.act(torch.zeros(1, size), np.zeros((1, head.noise_size)))
    except (RuntimeError, ValueError) as error:
        found = shortened(str(error), 80)
        raise UserError(f"{path}: member '{_WEIGHTS}': expected weights for {size} observations: {found}") from error


# ---- the zip file ----------------------------------------------------------------------------------------------------


def _content(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in (_DATA, _WEIGHTS):
                if (size := archive.getinfo(name).file_size) > LARGEST:
                    raise UserError(f"{path}: member '{name}': expected at most {LARGEST} bytes, found {size}")
            data, weights = json.loads(archive.read(_DATA)), archive.read(_WEIGHTS)
    except UserError:
        raise
    except Exception as error:  # zlib.error, BadZipFile, KeyError, RuntimeError (encrypted), ...
        raise UserError(f"{path}: a damaged policy of Stable-Baselines3: {shortened(repr(error), 100)}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path}: member 'data': expected a JSON object, found {type(data).__name__}")
    return data, _weights(weights, path)


def _weights(content: bytes, path: Path) -> dict[str, torch.Tensor]:
    where = f"{path}: member '{_WEIGHTS}'"
    try:
        if (size := _unpacked(content)) > LARGEST:
            raise UserError(f"{where}: expected at most {LARGEST} bytes when unpacked, found {size}")
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f"{where} holds more than weights, and loading it would run its code: refused") from error
    except UserError:
        raise
    except Exception as error:  # torch raises many kinds for damaged files
        raise UserError(f"{where}: damaged: {shortened(str(error), 100)}") from error
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise UserError(f"{where}: expected tensors by name, found {type(found).__name__}")
    # A tensor may claim more numbers than it stores: strides of 0 repeat them.
    if (numbers := sum(value.numel() for value in found.values())) > LARGEST // 4:
        raise UserError(f"{where}: expected at most {LARGEST // 4} weights, found {numbers}")
    weights = {str(name): value.detach().to(torch.float32) for name, value in found.items()}
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise UserError(f"{where}: '{name}': expected finite numbers")
    return weights


def _unpacked(content: bytes) -> int:
    """Bytes that a zip file says that it holds; those of any other file."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return len(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return sum(info.file_size for info in archive.infolist())


def _object(data: dict[str, Any], name: str, path: Path) -> Any:
    """A value of the JSON; one that is pickled in it as plain data."""
    value = data.get(name)
    if not isinstance(value, dict) or ":serialized:" not in value:
        return value
    try:
        content = base64.b64decode(value[":serialized:"])
    except (TypeError, ValueError, binascii.Error) as error:
        raise UserError(f"{path}: member 'data': '{name}': expected base64, found {error}") from error
    return unpickling.loads(content, f"{path}: member 'data': '{name}'")


def _policy_class(data: dict[str, Any], path: Path) -> str:
    """Module and name of the policy's class. Raises UserError if it is nobody's but the user's."""
    found = _object(data, "policy_class", path)
    name = found.name if isinstance(found, unpickling.Kind) else ""
    if name.partition(".")[0] not in ("stable_baselines3", "sb3_contrib"):
        said = f"{name}" if name else "a class of its own"
        raise UserError(
            f"{path}: policy_class: expected one of stable_baselines3 or sb3_contrib, found {said}, whose code would have "
            "to run; --policy module:function records whatever acts"
        )
    return name


def _space(data: dict[str, Any], name: str, path: Path) -> Any:
    """A space, made from its attributes. Others than Box and Discrete are refused by name."""
    record = _object(data, name, path)
    kind, held = getattr(record, "name", "").rpartition(".")[2], unpickling.attributes(record)
    try:
        if kind == "Box":
            low, high = (np.asarray(held[end]) for end in ("low", "high"))
            return Box(low, high, dtype=low.dtype.type)
        if kind == "Discrete":
            return Discrete(int(held["n"]), start=int(held.get("start", 0)))
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise UserError(f"{path}: {name}: a damaged {kind}: {shortened(repr(error), 80)}") from error
    raise UserError(f"{path}: {name}: expected a Box or a Discrete space, found {kind or type(record).__name__}")


# ---- what normalises -------------------------------------------------------------------------------------------------


def _normaliser(path: Path) -> tuple[Normaliser | None, Path]:
    """The one beside the file, and where it stands: in its folder, or in a folder of the file's name, or as the zoo has it:
    `CartPole-v1_1/best_model.zip` and `CartPole-v1_1/CartPole-v1/vecnormalize.pkl`."""
    folder = path.absolute().parent
    zoo = folder / re.sub(r"_\d+$", "", folder.name)
    beside = next((f for d in (folder, path.with_suffix(""), zoo) if (f := d / _NORMALISER).is_file()), None)
    if beside is None:
        return None, path
    record = unpickling.load(beside)
    held = unpickling.attributes(record)
    if "obs_rms" not in held:
        raise UserError(f"{beside}: expected a VecNormalize of Stable-Baselines3, found {type(record).__name__}")
    if not held.get("norm_obs", True):
        return None, beside
    statistics = unpickling.attributes(held["obs_rms"])
    try:
        mean, var = (np.asarray(statistics[name], np.float64).reshape(-1) for name in ("mean", "var"))
        scale, clip = np.sqrt(var + float(held.get("epsilon", 1e-8))), float(held["clip_obs"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{beside}: expected mean and var of flat observations: {shortened(repr(error), 80)}"
        ) from error
    if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
        raise UserError(f"{beside}: observation statistics: expected finite numbers, found others")
    return Normaliser(mean, scale, clip), beside
