"""Checkpoints: written whole or not at all, verified when read, without running anything that they hold.

iteration_N.pt   the learner's whole state; a policy alone, of behavioural cloning
unfinished_N.pt  the same, but saved within an iteration: its row is not in metrics.csv yet, and is kept here
best.pt          a policy alone
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space

from trpo_gail.config.files import from_dict, to_dict
from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.policies.policy import Policy
from trpo_gail.records import Record
from trpo_gail.runs.run_folder import FORMAT, check_format
from trpo_gail.spaces import actions, alike, saved
from trpo_gail.spaces.spec import ActionView, EnvSpec
from trpo_gail.spaces.units import ActionScaling
from trpo_gail.system import sealed, whole_file

# What to do without a best policy.
LAST_INSTEAD = "without --snapshot best, or by load_policy(run), the last policy is taken"
KEEP = 3  # of the last checkpoints, beside the best
_NAME = re.compile(r"(iteration|unfinished)_(\d+)\.pt")
_HELD = {"format", "iteration", "config", "spec", "clip", "learner"}


class Damaged(UserError):
    """A file that is no checkpoint any more."""


def save(
    folder: Path, learner: Learner, config: Config, spec: EnvSpec, workers: Workers, row: Record | None = None
) -> Path:
    """Save the learner's whole state as the run's last checkpoint. A collective; rank 0 writes.

    Within an iteration, `row` is what metrics.csv shall have of it: whoever resumes there finishes the iteration first.
    Such a checkpoint goes with the next one. Raises RuntimeError if the ranks' parameters have come apart, UserError if
    the disk refuses: the checkpoint before stays good then.
    """
    content = content_of(learner, config, spec, workers) | {"row": _plain(row)}
    path = iteration_path(folder, learner.progress.iteration)
    if row is not None:
        path = path.with_name(path.name.replace("iteration", "unfinished"))

    def write() -> None:
        if workers.main:
            _write(path, content)
            _remove_old(folder, path)

    workers.together(write)
    return path


def content_of(learner: Learner, config: Config, spec: EnvSpec, workers: Workers) -> dict[str, Any]:
    """What a checkpoint holds of a learner. A collective. Raises RuntimeError as `save` does."""
    _assert_synced(learner, workers)
    return _content(learner.state_dict(), learner.progress.iteration, config, spec)


def content_of_policy(policy: Policy, iteration: int, config: Config, spec: EnvSpec) -> dict[str, Any]:
    """What a checkpoint of a policy alone holds."""
    return _content({"policy": policy.state_dict()}, iteration, config, spec)


def _remove_old(folder: Path, newest: Path) -> None:
    paths = [path for path in _sorted(folder) if path != newest]
    for path in paths:
        if path.name.startswith("unfinished"):
            path.unlink(missing_ok=True)
    whole = [path for path in (*paths, newest) if path.name.startswith("iteration")]
    for path in whole[:-KEEP]:
        path.unlink(missing_ok=True)


def _plain(row: Record | None) -> Record | None:
    """Python's own numbers: others are not read back."""
    if row is None:
        return None
    return {name: value if value is None or isinstance(value, int) else float(value) for name, value in row.items()}


def save_best(folder: Path, learner: Learner, config: Config, spec: EnvSpec, workers: Workers) -> None:
    """Save the policy alone as the best so far. Rank 0 writes."""
    path, iteration = best_path(folder), learner.progress.iteration
    workers.together(lambda: save_policy(path, learner.policy, iteration, config, spec) if workers.main else None)


def save_policy(path: Path, policy: Policy, iteration: int, config: Config, spec: EnvSpec) -> None:
    """Save a policy without the rest of a learner: it can be loaded and evaluated, not trained on. Raises UserError."""
    _write(path, content_of_policy(policy, iteration, config, spec))


def _content(state: dict[str, Any], iteration: int, config: Config, spec: EnvSpec) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "iteration": iteration,
        **described(config, spec),
        "learner": as_tensors(state),
    }


def described(config: Config, spec: EnvSpec) -> dict[str, Any]:
    """What `config_of` and `spec_of` read."""
    return {
        "config": to_dict(config),
        "spec": _spec_to_dict(spec),
        "clip": spec.clips,  # the view of actions, by its name in 0.1.0
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    whole_file.make_folder(path.parent)
    write_sealed(path, content, "checkpoint")


def write_sealed(path: Path, content: dict[str, Any], what: str, called: Path | None = None) -> None:
    """Write tensors, numbers and texts with their SHA-256, as a whole or not at all. Raises UserError, in which the file is
    `called` by another name."""
    buffer = BytesIO()
    torch.save(content, buffer)
    try:
        whole_file.write(path, sealed.seal(buffer.getvalue()))
    except OSError as error:
        raise UserError(f"{called or path}: the {what} could not be written ({error.strerror})") from error


def read_sealed(path: Path, what: str) -> Any:
    """What `write_sealed` wrote. Raises UserError if the file is not there, and Damaged if it is damaged or another."""
    try:
        data = path.read_bytes()
        sealed.check(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a TorchScript archive, of which the error says what it is
            return torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file, a {what} of trpo_gail expected") from error
    except OSError as error:
        kind = Damaged if isinstance(error, IsADirectoryError) else UserError
        raise kind(f"{path}: not a {what} of trpo_gail ({error.strerror})") from error
    except Exception as error:  # torch raises many kinds, and each means the same to the user
        reason = (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0]
        raise Damaged(f"{path}: not a {what} of trpo_gail, or damaged ({reason[:100]})") from error


def read(path: Path) -> dict[str, Any]:
    """A checkpoint's content. Raises UserError if it is not one, and of its kinds Damaged if it is damaged."""
    state = read_sealed(path, "checkpoint")
    if not isinstance(state, dict) or not state.keys() >= _HELD:
        raise Damaged(f"{path}: not a checkpoint of trpo_gail (it holds something else)")
    check_format(state["format"], path)
    return state


def read_of_run(folder: Path, path: Path) -> dict[str, Any]:
    """As `read`, for one of a run's own: where it is damaged, the error says which is good, and what to do."""
    try:
        return read(path)
    except Damaged as error:
        good = [other for other in reversed(_sorted(folder)) if other != path and _is_good(other)]
        if path == best_path(folder) and good:
            advice = LAST_INSTEAD
        elif good:
            advice = f"the last good one is {good[0].name} (train --resume takes it; or move the other away)"
        else:
            advice = "no checkpoint of this run is good"
        raise UserError(f"{error}; {advice}") from error


def last_good(folder: Path) -> tuple[Path | None, list[Path]]:
    """The newest checkpoint that is good, if the run has any, and those after it: damaged, and set aside as NAME.damaged.

    Raises UserError if all are damaged: then they stay where they are.
    """
    damaged: list[Path] = []
    for path in reversed(_sorted(folder)):
        try:
            read(path)
        except Damaged as error:
            reason = error
            damaged.append(path)
        else:
            for other in damaged:
                os.replace(other, other.with_name(f"{other.name}.damaged"))
            return path, damaged
    if damaged:
        raise UserError(f"{reason}; no checkpoint of this run is good, and another --out starts anew")
    return None, []


def _is_good(path: Path) -> bool:
    with contextlib.suppress(UserError):
        return bool(read(path))
    return False


def restore(path: Path, learner: Learner, content: dict[str, Any] | None = None) -> Record | None:
    """Put a checkpoint's state into a learner made from the same config; environments are replayed to where they were.
    `content` is what another rank has read of it.

    The row of the iteration, if it was saved within one. Raises UserError for one that holds a policy alone, or is of
    another run.
    """
    content = content or read(path)
    if "sampler" not in content["learner"]:
        raise UserError(f"{path}: holds a policy alone (of behavioural cloning?), which training cannot go on with")
    _check_same_run(config_of(content, path), learner.sampler.config, path)
    _check_same_environment(spec_of(content), learner.sampler.env.spec, path)
    put(content, learner)
    return content.get("row")


def put(content: dict[str, Any], learner: Learner) -> None:
    """Put the state that a file holds into a learner; environments are replayed to where they were."""
    state = content["learner"]
    arrays = {name: value.numpy() for name, value in state["sampler"].items() if isinstance(value, torch.Tensor)}
    learner.load_state_dict(state | {"sampler": state["sampler"] | arrays})


def _check_same_run(saved: Config, config: Config, path: Path) -> None:
    """Raise UserError if the run's config.json contradicts its checkpoint."""
    before, now = flatten(saved), flatten(config)
    for name in before.keys() - {"expert", "reward_file", "steps", "iterations", "device"}:  # these may change
        if before[name] != now[name] and not (name == "env" and same_task(before[name], now[name])):
            raise UserError(
                f"{path}: saved with --{name} {before[name]}, but the run's config.json says {now[name]}: is one of them "
                "of another run, or damaged?"
            )


def _check_same_environment(saved: EnvSpec, now: EnvSpec, path: Path) -> None:
    """Raise UserError if the environment is another one than the run began with, as far as its spec says."""
    if found := alike.difference(now, saved):
        what, here, then = found
        raise UserError(f"{path}: the environment {now.id!r} has {what} than when the run began: {then}, now {here}")


def same_task(one: str, other: str) -> bool:
    """Whether two ids differ by nothing but the module that registers them."""
    return one.rpartition(":")[2] == other.rpartition(":")[2]


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
    """By iteration; the one that was saved within an iteration stands before that of its end. Raises UserError."""
    checkpoints = folder / "checkpoints"
    if checkpoints.exists() and not checkpoints.is_dir():
        raise UserError(f"{checkpoints}: a file, a folder of checkpoints expected")
    found = [(match, path) for path in checkpoints.glob("*.pt") if (match := _NAME.fullmatch(path.name))]
    return [path for match, path in sorted(found, key=lambda pair: (int(pair[0][2]), pair[0][1] == "iteration"))]


def config_of(state: dict[str, Any], path: Path) -> Config:
    """The config that a checkpoint was made with."""
    return from_dict(Config, state["config"], str(path))


def spec_of(state: dict[str, Any]) -> EnvSpec:
    """The environment's spec as training saw it, without making the environment."""
    s = state["spec"]
    plain = _map(s, lambda x: x.numpy() if isinstance(x, torch.Tensor) else x)
    if "observations" in s:
        observations, own = saved.load(plain["observations"]), saved.load(plain["actions"])
    else:  # 0.1.0 had plain spaces alone
        observations, own = Box(plain["low"], plain["high"], dtype=np.dtype(s["dtype"]).type), _own_of_0_1_0(plain)
    rows: Any = actions.flat_box(own) if isinstance(own, Box) else own
    scaling = ActionScaling.of(rows) if s.get("action_scaling") else None  # 0.1.0 had none
    units = scaling.policy if scaling else rows
    view: ActionView = "executed" if state["clip"] else "raw"
    images, numbers = tuple(s.get("images", ())), tuple(s.get("numbers", ()))
    other = None if rows is own else own
    return EnvSpec(
        s["id"], s["backend"], s["kwargs"], observations, units, s["limit"], scaling, view, other, images, numbers
    )


def _own_of_0_1_0(s: dict[str, Any]) -> Space:
    if "n" in s:
        return Discrete(s["n"])
    return Box(s["action_low"], s["action_high"], dtype=np.dtype(s["action_dtype"]).type)


def _spec_to_dict(spec: EnvSpec) -> dict[str, Any]:
    return {
        "id": spec.id, "backend": spec.backend, "kwargs": dict(spec.kwargs), "limit": spec.max_episode_steps,
        "action_scaling": spec.action_scaling is not None,
        "observations": _map(saved.save(spec.observation_space), _as_tensor),
        "actions": _map(saved.save(spec.executed_space), _as_tensor), "images": list(spec.images),
        "numbers": list(spec.numbers),
    }  # fmt: skip


def as_tensors(state: Any) -> Any:
    """A state with tensors in place of its numpy arrays, for torch to save."""
    return _map(state, _as_tensor)


def _as_tensor(x: Any) -> Any:
    return torch.from_numpy(np.array(x, order="C")) if isinstance(x, np.ndarray) else x  # 0-d arrays stay so


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
