"""A run as others may have it: a policy without pickle, JSON that names no machine and no person, and a card.

README.md            the card (`card`)
config.json          as the run's, cleaned; with `policy`, all of its checkpoint but the tensors
policy.safetensors   these: parameters, statistics of observations, bounds of the spaces
summary.json, metrics.csv, learning_curve.png, replay.mp4 or replay.gif   if the run has them
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from trpo_gail.config import choices
from trpo_gail.errors import UserError, listed
from trpo_gail.exports import safetensors
from trpo_gail.runs import checkpoint
from trpo_gail.runs.run_folder import FORMAT, kind_of, no_checkpoint, read_json
from trpo_gail.system import typed

CARD, CONFIG, POLICY = "README.md", "config.json", "policy.safetensors"
COPIED = ("summary.json", "metrics.csv", "learning_curve.png")
VIDEOS = ("replay.mp4", "replay.gif")
FILES = (CARD, CONFIG, POLICY, *COPIED, *VIDEOS)  # all that a shared folder may hold

_TENSOR = "tensor"  # {"tensor": NAME} stands for a tensor in JSON
_SESSION = ("python", "versions", "commit", "ranks", "threads", "device", "from_iteration")  # what is kept of each
_ABSOLUTE = re.compile(r"(?<![\w.:/~])(?:~[\w.-]*)?/(?:[^/\"'\s,:;]+/)*([^/\"'\s,:;]*)")


# ---- from a run ------------------------------------------------------------------------------------------------------


def config_and_policy(run: Path, which: str) -> tuple[dict[str, Any], bytes]:
    """The content of config.json and policy.safetensors. Raises UserError if the folder is no run, or holds no policy."""
    held = read_json(run / CONFIG, config=dict, setting=dict, sessions=list)
    pulled = held.get("pulled")  # which policy it was that is here as the last one
    best = which == "best" and pulled != "best"
    path = checkpoint.best_path(run) if best else checkpoint.last_path(run)
    if path is None or not path.exists():
        raise no_checkpoint(run, f"{which} ")
    state = checkpoint.read_of_run(run, path)
    tensors: dict[str, Tensor] = {}
    paths = _paths(state["config"], held["setting"], held.get("cloning", {}))
    spec = state["spec"] | {"kwargs": cleaned(state["spec"]["kwargs"], paths)}
    sessions = [session for session in held["sessions"] if isinstance(session, dict)]
    content = {
        "format": FORMAT,
        "kind": kind_of(held, run / CONFIG),
        "config": cleaned(state["config"], paths),
        **({"cloning": cleaned(held["cloning"], paths)} if "cloning" in held else {}),
        "setting": cleaned(held["setting"], paths),
        "sessions": [{name: each[name] for name in _SESSION if name in each} for each in sessions],
        "policy": {
            "which": pulled if pulled in ("best", "last") else which,
            "iteration": state["iteration"],
            "clip": state["clip"],
            "spec": _without(spec, "spec", tensors),
            "state": _without(state["learner"]["policy"], "", tensors),
        },
    }
    return content, safetensors.write(tensors, {"format": "pt", "library": "trpo_gail"})


def _paths(*parts: Mapping[str, Any]) -> list[str]:
    """The files and folders that a run's settings name, the longest first."""
    named = [part.get(name) for part in parts for name in ("expert", "init_policy", "reward_file")]
    return sorted({path for path in named if isinstance(path, str) and "/" in path}, key=len, reverse=True)


def cleaned(value: Any, paths: list[str]) -> Any:
    """JSON in whose texts these paths, and all absolute ones, are only the names of their files."""
    if isinstance(value, Mapping):
        return {cleaned(name, paths): cleaned(item, paths) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(item, paths) for item in value]
    if not isinstance(value, str):
        return value
    if value.startswith("{"):  # the environment's arguments
        with contextlib.suppress(ValueError):
            return json.dumps(cleaned(json.loads(value), paths))
    for path in paths:
        value = value.replace(path, Path(path).name)
    if value.startswith(("/", "~/")):  # names of folders may hold blanks
        return Path(value).name
    return _ABSOLUTE.sub(r"\1", value)


def _without(tree: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """A tree whose tensors are moved into `tensors`, by their paths in it."""
    if isinstance(tree, Tensor):
        tensors[name] = tree
        return {_TENSOR: name}
    if isinstance(tree, Mapping):
        return {key: _without(item, f"{name}.{key}".lstrip("."), tensors) for key, item in tree.items()}
    if isinstance(tree, list | tuple):
        return [_without(item, f"{name}.{k}", tensors) for k, item in enumerate(tree)]
    return tree


# ---- to a run --------------------------------------------------------------------------------------------------------


def run_of(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of a run's config.json, and that of its checkpoint. Raises UserError for whatever is damaged."""
    file = folder / CONFIG
    held = read_json(file, config=dict, setting=dict, sessions=list, policy=dict)
    kind_of(held, file)
    try:
        tensors = safetensors.read((folder / POLICY).read_bytes(), str(folder / POLICY))
    except OSError as error:
        raise UserError(f"{folder / POLICY}: cannot be read: {error.strerror}") from error
    policy = held.pop("policy")
    try:
        held["pulled"] = "best" if policy.get("which") == "best" else "last"
        typed.check(policy["iteration"], int, f"{file}: field 'policy.iteration'")
        content = {
            "format": held["format"],
            "iteration": abs(policy["iteration"]),
            "config": held["config"],
            "spec": _with(policy["spec"], tensors),
            "clip": bool(policy["clip"]),
            "learner": {"policy": _with(policy["state"], tensors)},
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file}: field 'policy' is damaged, or does not fit {POLICY} ({str(error)[:60]})") from error
    return held, content


def _with(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `_without`."""
    if isinstance(tree, dict):
        return tensors[tree[_TENSOR]] if tree.keys() == {_TENSOR} else {k: _with(v, tensors) for k, v in tree.items()}
    return [_with(item, tensors) for item in tree] if isinstance(tree, list) else tree


def outside(content: Mapping[str, Any]) -> Iterator[str]:
    """Code outside the package that a run's settings name: whoever evaluates the policy imports it."""
    config = content["config"]
    named = [config.get("env"), (config.get("policy") or {}).get("network"), *learners(config)]
    yield from (name for name in named if isinstance(name, str) and ":" in name)


def learners(config: Mapping[str, Any]) -> list[Any]:
    """Adversary and generator of a run's config that are none of the package's own. A config with such a name cannot be
    checked without importing it."""
    tables = (choices.ADVERSARIES, choices.GENERATORS)
    return [name for table in tables if isinstance(name := config.get(table.flag), str) and name not in table]


# ---- a place ---------------------------------------------------------------------------------------------------------


def check_place(names: list[str], where: str, force: bool) -> None:
    """Raise UserError unless what a place holds may be replaced: a run that was pushed there before, with --force."""
    if others := sorted(set(names) - set(FILES)):
        raise UserError(
            f"{where}: holds other files ({listed(others)}), which are not replaced; another place expected"
        )
    if names and not force:
        raise UserError(f"{where}: holds a run already; --force replaces it")


def dumped(content: Mapping[str, Any]) -> bytes:
    """JSON as a file's bytes."""
    return (json.dumps(content, indent=2) + "\n").encode()
