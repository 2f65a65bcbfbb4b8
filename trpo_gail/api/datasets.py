"""Demonstrations from whatever Python code holds: files, arrays, episodes, other libraries' containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trpo_gail.api import elsewhere
from trpo_gail.errors import UserError, listed, shortened
from trpo_gail.experts import arrays, catalogue, describe
from trpo_gail.experts.data import Demonstrations as Held
from trpo_gail.experts.facts import Provenance
from trpo_gail.experts.formats import trees
from trpo_gail.experts.own import Demonstrations, load
from trpo_gail.experts.trajectories import ENDS, NAMES, check_spelling, of_unknown_kind
from trpo_gail.system import typed

_STARTS = ("obs", "actions", "episode_starts")  # of Stable-Baselines' dictionary
_FLAT = ("obs", "acts", "dones")  # of `imitation`'s Transitions
_ENDS = {"episode_ends", "episode_lengths", "terminals", "timeouts"}
_OF_ARRAYS = {
    *_ENDS, "observations", "actions", "rewards", "next_observations", "final_observations",
    *(f.name for f in fields(Provenance)),
}  # fmt: skip
_EXPECTED = (
    "expected an ExpertDataset, Demonstrations, the path of a file, a list of episodes, a mapping of arrays, or a pair "
    "(observations, actions)"
)


class ExpertDataset:
    """Demonstrations, by the names of Stable-Baselines."""

    def __init__(
        self,
        expert_path: str | Path | None = None,
        traj_data: Any = None,
        train_fraction: float | None = None,
        batch_size: int | None = None,
        traj_limitation: int = -1,
        randomize: bool = True,
        verbose: int = 1,
        *,
        subsample: int = 1,
        **others: Any,
    ) -> None:
        """`expert_path` is a file or folder of any format, or a name of `trpo-gail data list`; `traj_data` is whatever
        else `GAIL` takes, such as what `generate_expert_traj` returns. One of the two is expected. `traj_limitation` is
        the number of episodes to take, from the first on; -1, or more than there are, takes all. `subsample=k` takes
        every k-th row of each episode. `train_fraction` and `batch_size` are those of `pretrain`.

        Raises UserError for what is missing or malformed.
        """
        elsewhere.refuse("ExpertDataset", ExpertDataset, others)
        if (expert_path is None) == (traj_data is None):
            raise UserError("ExpertDataset: expert_path or traj_data, one of the two expected")
        if not randomize:
            raise UserError("ExpertDataset: randomize=False given, but pairs are always drawn at random")
        if traj_limitation != -1:
            traj_limitation = typed.whole("ExpertDataset: traj_limitation (-1 for all)", traj_limitation)
        if train_fraction is not None and not (
            isinstance(train_fraction, (float, np.floating)) and 0 < train_fraction < 1
        ):
            raise UserError(
                f"ExpertDataset: train_fraction: {train_fraction!r:.60} given, a number between 0 and 1 expected"
            )
        if batch_size is not None:
            batch_size = typed.whole("ExpertDataset: batch_size", batch_size)
        subsample = typed.whole("ExpertDataset: subsample", subsample)
        self.train_fraction, self.batch_size = train_fraction, batch_size
        held = demonstrations_of(traj_data if expert_path is None else expert_path)
        limited = 0 < traj_limitation < held.trajectories_held
        self.demonstrations = load(held, traj_limitation if limited else None, subsample)
        if verbose:
            self.log_info()

    if not TYPE_CHECKING:  # a type checker would believe that every attribute is there

        def __getattr__(self, name: str) -> Any:
            return elsewhere.of_dataset(self, name)

    def log_info(self) -> None:
        """Print how much it holds, on the first rank."""
        from trpo_gail.system.launcher import speaks

        if speaks():
            print(f"expert: {describe.selection(self.demonstrations)}", flush=True)


def demonstrations_of(given: Any, name: str = "expert_dataset") -> Demonstrations:
    """Demonstrations from what a caller gives as `name`. Raises UserError, naming what is missing or malformed.

    An episode is a mapping or an object with `obs` [T or T + 1, ...] and `acts` [T, ...]; `rews`, `terminal` and others are
    optional (`experts.trajectories.CALLED`). A pair of arrays, and transitions without ends, are one unfinished episode.
    """
    if isinstance(given, ExpertDataset):
        return given.demonstrations
    if isinstance(given, (str, Path, Held)):
        return load(_file(given) if isinstance(given, (str, Path)) else given)
    if isinstance(given, Mapping):
        return _of_mapping(_array(given), name)
    if all(hasattr(given, key) for key in _FLAT):
        return _of_transitions(given)
    if (pair := _pair(given)) is not None:
        return Demonstrations.from_arrays(*pair, episode_ends=np.zeros(len(pair[1]), bool))
    if isinstance(given, Sequence) and len(given):
        made = _of_list(given, name)
        own = type(given[0]).__module__.partition(".")[0] == "imitation"
        return of_unknown_kind(made) if own else made
    if hasattr(given, "save_hdf5"):
        raise UserError(
            f"{name}: {type(given).__name__} given, a buffer of Tianshou: save_hdf5(FILE), and FILE expected"
        )
    raise UserError(f"{name}: {shortened(repr(given), 60)} given, {_EXPECTED}")


def _pair(given: Any) -> list[np.ndarray] | None:
    """Observations and actions, of a tuple or list of two arrays, tensors or lists of rows; None if it is no such pair."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        return None
    found = [_rows(part) for part in given]
    return None if any(part is None for part in found) else [part for part in found if part is not None]


def _rows(part: Any) -> np.ndarray | None:
    """An array of numbers; of a list if it holds numbers or rows of them, and no episodes."""
    if isinstance(part, list):
        if any(isinstance(row, (tuple, Mapping)) for row in part):
            return None
        try:
            part = np.asarray([_array(row) for row in part])
        except ValueError:  # of several lengths
            return None
        if part.ndim > 2:
            return None
    found = _array(part)
    return found if isinstance(found, np.ndarray) and found.ndim and found.dtype.kind in "biuf" else None


def _array(value: Any) -> Any:
    """What is no array but can be one, such as a tensor or a column of pandas, as an array, also in mappings; anything else
    as it is."""
    if isinstance(value, Mapping):
        return {key: _array(item) for key, item in value.items()}
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    return (
        np.asarray(value) if hasattr(value, "__array__") and not isinstance(value, (np.ndarray, np.generic)) else value
    )


def _of_list(given: Sequence[Any], name: str) -> Demonstrations:
    """Of episodes, or of mappings of one step each, as DI-engine keeps them."""
    try:
        return Demonstrations.from_trajectories(given)
    except UserError:
        if not all(isinstance(one, Mapping) for one in given):
            raise
        steps = [{str(key): _array(value) for key, value in one.items()} for one in given]
        if not trees.is_step(steps[0]) or (held := trees.demonstrations(steps, name)) is None:
            raise
        return Demonstrations.of(held)


def _file(path: str | Path) -> Path:
    """The file, also where Stable-Baselines' .npz is left out, or of the name of one that comes with the package."""
    found = catalogue.located(path)
    return found if found.exists() or found.suffix else found.with_suffix(".npz")


def _of_mapping(given: Mapping[str, Any], name: str) -> Demonstrations:
    more = {name for field in ENDS for name in NAMES[field]}
    if all(key in given for key in _STARTS) and not more & given.keys():
        check_spelling(given, name)
        starts = _flags(given["episode_starts"], f"{name}: episode_starts")
        ends = np.append(starts[1:], True) if len(starts) else starts
        return Demonstrations.from_arrays(
            given["obs"], _labels(given["actions"]), rewards=_flat(given.get("rewards")), episode_ends=ends
        )
    if "steps" in given:
        return load(given)
    if "observations" in given and given.keys() <= _OF_ARRAYS and _ENDS & given.keys():
        return Demonstrations.from_arrays(**given)
    if (held := trees.demonstrations(dict(given), name)) is not None:
        return Demonstrations.of(held)
    if "observations" in given:
        return load(given)
    raise UserError(
        f"{name}: a mapping of {listed(given)} given, observations and actions expected, or obs, actions and "
        "episode_starts"
    )


def _labels(actions: Any) -> np.ndarray:
    """Integers [N] of a column; others as they are."""
    values = np.asarray(actions)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 and values.dtype.kind in "iu" else values


def _flags(values: Any, where: str) -> np.ndarray:
    """[N] bool of flags, or of numbers that are 0 or 1. Raises UserError for others, such as texts."""
    found = np.asarray(values).ravel()
    return arrays.flags(found, len(found), where)


def _flat(values: Any) -> np.ndarray | None:
    return None if values is None else np.asarray(values).ravel()


def _of_transitions(given: Any) -> Demonstrations:
    """Rows one after the other, whose `dones` are the last of an episode."""
    following = getattr(given, "next_obs", None)
    return Demonstrations.from_arrays(
        _unwrapped(given.obs),
        np.asarray(given.acts),
        next_observations=None if following is None else _unwrapped(following),
        episode_ends=_flags(given.dones, "dones"),
        rewards=getattr(given, "rews", None),
    )


def _unwrapped(observations: Any) -> Any:
    return observations.unwrap() if hasattr(observations, "unwrap") else observations
