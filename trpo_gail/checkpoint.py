"""Checkpoints: written whole or not at all, read without running anything that they hold."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from trpo_gail.config import Config, from_dict, to_dict
from trpo_gail.envs.actions import ActionScaling
from trpo_gail.envs.vector import EnvSpec
from trpo_gail.errors import UserError
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.policy import Policy

FORMAT = 1
KEEP = 3  # of the last checkpoints, beside the best
_NAME = re.compile(r"iteration_(\d+)\.pt")


def save(folder: Path, learner: Learner, config: Config, spec: EnvSpec, clip: bool, workers: Workers) -> Path:
    """Save the learner's whole state as the run's last checkpoint. A collective; rank 0 writes.

    Raises RuntimeError if the ranks' parameters have come apart, UserError if the disk refuses: the checkpoint before
    stays good then.
    """
    _assert_synced(learner, workers)
    iteration = learner.progress.iteration
    path = iteration_path(folder, iteration)
    content = _content(learner.state_dict(), iteration, config, spec, clip)

    def write() -> None:
        if workers.main:
            _write(path, content)
            for old in _sorted(folder)[:-KEEP]:
                old.unlink(missing_ok=True)

    workers.together(write)
    return path


def save_best(folder: Path, learner: Learner, config: Config, spec: EnvSpec, clip: bool, workers: Workers) -> None:
    """Save the policy alone as the best so far. Rank 0 writes."""
    path, iteration = best_path(folder), learner.progress.iteration
    workers.together(lambda: save_policy(path, learner.policy, iteration, config, spec, clip) if workers.main else None)


def save_policy(path: Path, policy: Policy, iteration: int, config: Config, spec: EnvSpec, clip: bool) -> None:
    """Save a policy without the rest of a learner: it can be loaded and evaluated, not trained on. Raises UserError."""
    _write(path, _content({"policy": policy.state_dict()}, iteration, config, spec, clip))


def _content(state: dict[str, Any], iteration: int, config: Config, spec: EnvSpec, clip: bool) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "iteration": iteration,
        "config": to_dict(config),
        "spec": _spec_to_dict(spec),
        "clip": clip,
        "learner": _map(state, lambda x: torch.from_numpy(np.ascontiguousarray(x)) if isinstance(x, np.ndarray) else x),
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    try:
        with open(part, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError) as error:  # torch wraps a full disk in a RuntimeError
        part.unlink(missing_ok=True)
        raise UserError(
            f"{path}: the checkpoint could not be written ({_reason(error)}); the one before is good"
        ) from error


def _reason(error: BaseException) -> str:
    while error.__context__ is not None and not isinstance(error, OSError):
        error = error.__context__
    return str(error).split("\n")[0]


def read(path: Path) -> dict[str, Any]:
    """A checkpoint's content. Raises UserError if it is not one."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, and each means the same to the user
        reason = str(error).splitlines() or [type(error).__name__]  # an empty file's error says nothing
        raise UserError(f"{path}: not a checkpoint of trpo_gail ({reason[0]})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path}: not a checkpoint of this version (format {FORMAT} expected)")
    return state


def restore(path: Path, learner: Learner) -> None:
    """Put a checkpoint's state into a learner made from the same config; environments are replayed to where they were.

    Raises UserError for one that holds a policy alone.
    """
    state = read(path)["learner"]
    if "sampler" not in state:
        raise UserError(f"{path}: holds a policy alone (of behavioural cloning?), which training cannot go on with")
    actions = state["sampler"]["actions"]
    state["sampler"]["actions"] = None if actions is None else actions.numpy()
    learner.load_state_dict(state)


def last_path(folder: Path) -> Path | None:
    """The newest checkpoint of a run, if there is one."""
    paths = _sorted(folder)
    return paths[-1] if paths else None


def iteration_path(folder: Path, iteration: int) -> Path:
    """Where an iteration's checkpoint is, or will be."""
    return folder / "checkpoints" / f"iteration_{iteration:07d}.pt"


def best_path(folder: Path) -> Path:
    """Where the best policy by evaluation is, or will be."""
    return folder / "checkpoints" / "best.pt"


def _sorted(folder: Path) -> list[Path]:
    return sorted(p for p in (folder / "checkpoints").glob("iteration_*.pt") if _NAME.fullmatch(p.name))


def config_of(state: dict[str, Any], path: Path) -> Config:
    """The config that a checkpoint was made with."""
    return from_dict(Config, state["config"], str(path))


def spec_of(state: dict[str, Any]) -> EnvSpec:
    """The environment's spec as training saw it, without making the environment."""
    s = state["spec"]
    box = Box(s["low"].numpy(), s["high"].numpy(), dtype=np.dtype(s["dtype"]).type)
    if "n" in s:
        action: Box | Discrete = Discrete(s["n"])
    else:
        action = Box(s["action_low"].numpy(), s["action_high"].numpy(), dtype=np.dtype(s["action_dtype"]).type)
    scaling = ActionScaling.of(action) if s.get("action_scaling") else None  # 0.1.0 had none
    return EnvSpec(s["id"], s["backend"], s["kwargs"], box, scaling.policy if scaling else action, s["limit"], scaling)


def _spec_to_dict(spec: EnvSpec) -> dict[str, Any]:
    box, action = spec.observation_space, spec.executed_space
    s: dict[str, Any] = {
        "id": spec.id, "backend": spec.backend, "kwargs": dict(spec.kwargs), "limit": spec.max_episode_steps,
        "action_scaling": spec.action_scaling is not None,
        "low": torch.from_numpy(box.low.copy()), "high": torch.from_numpy(box.high.copy()), "dtype": str(box.dtype),
    }  # fmt: skip
    if isinstance(action, Discrete):
        return s | {"n": int(action.n)}
    low, high = torch.from_numpy(action.low.copy()), torch.from_numpy(action.high.copy())
    return s | {"action_low": low, "action_high": high, "action_dtype": str(action.dtype)}


def _map(value: Any, function: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _map(item, function) for key, item in value.items()}
    return [_map(item, function) for item in value] if isinstance(value, list) else function(value)


def _assert_synced(learner: Learner, workers: Workers) -> None:
    """Ranks hold identical parameters by construction; a machine that rounds otherwise would break it in silence."""
    digest = hashlib.sha256()
    for tensor in learner.policy.state_dict().values():
        digest.update(tensor.detach().cpu().numpy().tobytes())
    if len(set(workers.gather(digest.hexdigest()))) > 1:
        raise RuntimeError("the ranks' policies differ: do all machines have the same processor and the same packages?")
