"""Expert demonstrations: read, select, check, write, describe.

The native layout is flat HDF5, a superset of D4RL's; `expert_data/README.md` states it. The layout of Ho & Ermon's own
code is read too. Legend of shapes: N rows in a file, E episodes, M rows kept, O observation size, A action size.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from gymnasium.spaces import Discrete

from trpo_gail.errors import UserError, shortened
from trpo_gail.experts import foreign, hdf5
from trpo_gail.experts.formats import paper
from trpo_gail.magnitudes import too_large
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec

FORMAT, FORMAT_VERSION = "trpo_gail expert data", 1

ActionView = Literal["raw", "executed"]


@dataclass(frozen=True)
class Provenance:
    """Where demonstrations come from; every field is an attribute of the file, and each may be unknown."""

    env_id: str | None = None
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    observation_space: Mapping[str, Any] | None = None  # as `space_to_json` gives it
    action_space: Mapping[str, Any] | None = None
    action_view: ActionView | None = None  # raw: as sampled; executed: clipped to the bounds
    policy: str | None = None
    policy_sha256: str | None = None
    deterministic: bool | None = None
    seed: int | None = None
    backend: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    licence: str | None = None
    attribution: str | None = None


@dataclass(frozen=True)
class Demonstrations:
    """All that a file holds, or will hold: its rows, episode after episode, and facts of the whole episodes."""

    observations: np.ndarray  # [N, O]
    actions: np.ndarray  # [N, A] float, or [N] int64
    terminals: np.ndarray  # [N] bool
    timeouts: np.ndarray  # [N] bool
    steps: np.ndarray  # [N] int64, index within the episode
    episode_lengths: np.ndarray  # [E] int64, steps of the whole episodes
    rewards: np.ndarray | None = None  # [N]
    episode_returns: np.ndarray | None = None  # [E] float64, of the whole episodes
    next_observations: np.ndarray | None = None  # [N, O]
    subsample: int = 1
    provenance: Provenance = field(default_factory=Provenance)
    says_ends: bool = True  # the paper's layout does not, and its terminals and timeouts are all False


@dataclass(frozen=True)
class Ends:
    """How episodes end, of those whose last row a file holds; numbers of episodes."""

    terminal: int
    limit: int
    unsaid: int


@dataclass(frozen=True)
class ExpertData:
    """The demonstrations that a learner is given."""

    observations: np.ndarray  # [M, O], with the digits of the file
    actions: np.ndarray  # [M, A], or [M] int64
    rewards: np.ndarray | None  # [M]
    terminals: np.ndarray  # [M] bool; all False in the paper's layout, which does not say
    timeouts: np.ndarray  # [M] bool, likewise
    steps: np.ndarray  # [M] int64, index within the episode
    episode_of: np.ndarray  # [M] int64, which of the trajectories kept
    episode_returns: np.ndarray | None  # [trajectories] float64, of the whole episodes kept
    episode_lengths: np.ndarray  # [trajectories] int64, steps, likewise
    return_mean: float | None  # over all episodes in the file, not only those kept; None if it has no rewards
    return_std: float | None  # likewise, of the population
    trajectories: int  # kept
    trajectories_held: int  # by the file
    subsample: int  # every how many-th row is kept
    path: str = ""
    sha256: str = ""
    action_view: ActionView | None = None  # as the file states
    env_id: str | None = None
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    ends: Ends | None = None  # of all episodes in the file; None if it does not say

    def transitions(self) -> Transitions:
        """For an adversary."""
        unknown = np.full_like(self.observations, np.nan, dtype=np.float64)
        return Transitions(
            self.observations, self.actions, self.terminals, self.timeouts, self.steps, lambda: unknown, self.rewards
        )


def load(path: str | Path, trajectories: int | None = None, subsample: int = 1) -> ExpertData:
    """The first `trajectories` (default: all) of a file, every `subsample`-th row from an offset, as in the paper.

    Reads the native layout and the paper's, told apart by content. Raises UserError, naming file, field and what was
    expected, for a file that is missing, damaged or malformed, for more trajectories than it holds, and for
    subsampling what was subsampled before.
    """
    if subsample < 1:
        raise UserError(f"{path}: subsample: expected at least 1, found {subsample}")
    held = read(path)
    total = len(held.episode_lengths)
    kept = total if trajectories is None else trajectories
    if not 1 <= kept <= total:
        raise UserError(f"{path}: trajectories: expected 1 to {total}, which the file holds, found {kept}")
    if subsample > 1 and held.subsample > 1:
        raise UserError(f"{path}: subsample: the file already holds every {held.subsample}th row, expected 1")

    stored = paper_rows(held.episode_lengths, held.subsample)
    episode, step = paper_rows(held.episode_lengths[:kept], max(subsample, held.subsample))
    first = np.concatenate([[0], np.cumsum(held.episode_lengths)])
    # A file that was subsampled before holds exactly the rows wanted, and those of later episodes behind them.
    rows = np.arange(len(episode)) if held.subsample > 1 else first[episode] + step
    assert np.array_equal(stored[1][rows], step)
    if not len(rows):
        raise UserError(f"{path}: subsample: {subsample} leaves no row of {kept} trajectories")
    returns, facts = held.episode_returns, held.provenance
    return ExpertData(
        observations=held.observations[rows],
        actions=held.actions[rows],
        rewards=None if held.rewards is None else held.rewards[rows],
        terminals=held.terminals[rows],
        timeouts=held.timeouts[rows],
        steps=step,
        episode_of=episode,
        episode_returns=None if returns is None else returns[:kept],
        episode_lengths=held.episode_lengths[:kept],
        return_mean=None if returns is None else float(returns.mean()),
        return_std=None if returns is None else float(returns.std()),
        trajectories=kept,
        trajectories_held=total,
        subsample=max(subsample, held.subsample),
        path=str(path),
        sha256=hdf5.sha256(path),
        action_view=facts.action_view,
        env_id=facts.env_id,
        env_kwargs=facts.env_kwargs,
        ends=ends(held),
    )


def ends(held: Demonstrations) -> Ends | None:
    """How the episodes of a file end; None if its layout does not say."""
    if not held.says_ends:
        return None
    episode, step = paper_rows(held.episode_lengths, held.subsample)
    last = step == held.episode_lengths[episode] - 1
    terminal, limit = held.terminals[last], held.timeouts[last] & ~held.terminals[last]
    return Ends(int(terminal.sum()), int(limit.sum()), int((~terminal & ~limit).sum()))


def paper_offsets(episodes: int, subsample: int) -> np.ndarray:
    """The first step [episodes] that the paper keeps of each; those of n episodes begin those of n + 1."""
    # A generator of its own, and the old one: the paper's code drew its offsets so.
    return np.random.RandomState(0).randint(0, subsample, episodes)


def _paper_counts(lengths: np.ndarray, subsample: int) -> np.ndarray:
    """How many rows [episodes] the paper keeps of each."""
    return np.maximum(0, -((paper_offsets(len(lengths), subsample) - lengths) // subsample))


def paper_rows(lengths: np.ndarray, subsample: int) -> tuple[np.ndarray, np.ndarray]:
    """(episode [M], step [M]) of the rows that the paper keeps of episodes with `lengths` steps: `start[i]::subsample`.

    An episode shorter than its offset keeps none.
    """
    start = paper_offsets(len(lengths), subsample)
    steps = [np.arange(first, length, subsample) for first, length in zip(start, lengths, strict=True)]
    counts = [len(rows) for rows in steps]
    return np.repeat(np.arange(len(lengths)), counts), np.concatenate([np.zeros(0, np.int64), *steps])


def read(path: str | Path, name: str | Path | None = None) -> Demonstrations:
    """Everything a file holds, validated; errors call it `name`. Raises UserError as `load` does."""
    with hdf5.reading(path) as file:
        name = name or path
        if paper.holds(file):
            return _from_paper(paper.read(file, name), name)
        if "snapshots" in file and "observations" not in file:
            raise UserError(
                f"{name}: a policy file (network snapshots), expected demonstrations; "
                f"record some with: trpo-gail record ENV --policy {name} --episodes N --out FILE.h5"
            )
        if layout := foreign.layout(file):
            raise UserError(f"{name}: {layout}")
        return _read_native(file, name)


def _from_paper(held: paper.PaperTrajectories, path: str | Path) -> Demonstrations:
    if not len(held.lengths):
        raise UserError(f"{path}: dataset 'len_B': expected at least 1 trajectory, found 0")
    unknown = np.zeros(len(held.observations), bool)
    return Demonstrations(
        observations=held.observations,
        actions=held.actions,
        terminals=unknown,
        timeouts=unknown,
        steps=paper_rows(held.lengths, 1)[1],
        episode_lengths=held.lengths,
        rewards=held.rewards,
        episode_returns=_returns(held.rewards, held.lengths),
        says_ends=False,
    )


def _read_native(file: h5py.File, path: str | Path) -> Demonstrations:
    def optional(name: str, kinds: str, shape: str, ndim: tuple[int, ...]) -> np.ndarray | None:
        return hdf5.array(file, path, name, kinds, shape, ndim) if name in file else None

    version = _integer_attribute(file, path, "format_version", f"{FORMAT_VERSION} or less") or FORMAT_VERSION
    if version > FORMAT_VERSION:
        raise UserError(f"{path}: attribute 'format_version': expected {FORMAT_VERSION} or less, found {version}")
    subsample = _integer_attribute(file, path, "subsample", "an integer of at least 1")
    if subsample is not None and subsample < 1:
        raise UserError(f"{path}: attribute 'subsample': expected an integer of at least 1, found {subsample}")
    returns = optional("episode_returns", "fiu", "[episodes]", (1,))
    images = (2, 3, 4)
    observations = hdf5.array(file, path, "observations", "fiu", "[rows, observation size]", images)
    held = Demonstrations(
        observations=observations,
        actions=_native_actions(file, path),
        terminals=hdf5.array(file, path, "terminals", hdf5.FLAGS, "[rows]", (1,)).astype(bool),
        timeouts=hdf5.array(file, path, "timeouts", hdf5.FLAGS, "[rows]", (1,)).astype(bool),
        steps=hdf5.array(file, path, "steps", hdf5.INTEGERS, "[rows]", (1,)).astype(np.int64),
        episode_lengths=hdf5.array(file, path, "episode_lengths", "iu", "[episodes]", (1,)).astype(np.int64),
        rewards=optional("rewards", "fiu", "[rows]", (1,)),
        episode_returns=None if returns is None else returns.astype(np.float64),
        next_observations=optional("next_observations", "fiu", "[rows, observation size]", images),
        subsample=subsample or 1,
        provenance=_read_provenance(file, path),
    )
    _check_rows(held, path)
    if held.episode_returns is None and held.rewards is not None and held.subsample == 1:
        return replace(held, episode_returns=_returns(held.rewards, held.episode_lengths))
    return held


def _returns(rewards: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Sums over episodes [E] float64, of rewards [N] of which none is left out."""
    return np.add.reduceat(rewards, np.cumsum(lengths) - lengths, dtype=np.float64)


def _native_actions(file: h5py.File, path: str | Path) -> np.ndarray:
    actions = hdf5.array(file, path, "actions", "fiu", "[rows, action size], or integers [rows]", (1, 2))
    whole = actions.dtype.kind in hdf5.INTEGERS
    if whole != (actions.ndim == 1):
        raise UserError(
            f"{path}: dataset 'actions': expected floats [rows, action size] or integers [rows], "
            f"found {actions.dtype} {list(actions.shape)}"
        )
    return actions.astype(np.int64) if whole else actions


def _check_rows(held: Demonstrations, path: str | Path) -> None:
    """That the datasets agree with one another."""
    rows, episodes = len(held.observations), len(held.episode_lengths)
    if not rows or not episodes:
        raise UserError(f"{path}: dataset 'observations': expected at least 1 row of 1 episode, found {rows}")
    for name in ("actions", "terminals", "timeouts", "steps", "rewards", "next_observations"):
        values = getattr(held, name)
        if values is not None and len(values) != rows:
            raise UserError(f"{path}: dataset '{name}': expected {rows} rows as in 'observations', found {len(values)}")
    if held.next_observations is not None and held.next_observations.shape != held.observations.shape:
        expected, found = list(held.observations.shape), list(held.next_observations.shape)
        raise UserError(f"{path}: dataset 'next_observations': expected shape {expected}, found {found}")
    if held.episode_returns is not None and len(held.episode_returns) != episodes:
        found_n = len(held.episode_returns)
        raise UserError(f"{path}: dataset 'episode_returns': expected {episodes} as 'episode_lengths', found {found_n}")
    if held.episode_lengths.min() < 1:
        raise UserError(f"{path}: dataset 'episode_lengths': expected 1 or more, found {held.episode_lengths.min()}")
    k, counts = held.subsample, _paper_counts(held.episode_lengths, held.subsample).tolist()
    if sum(counts) != rows:
        kept = "all" if k == 1 else f"every {k}th"
        raise UserError(
            f"{path}: dataset 'episode_lengths': expected lengths that make {rows} rows as in 'observations', "
            f"found {sum(counts)} ({kept} of {sum(held.episode_lengths.tolist())} steps)"
        )
    steps = paper_rows(held.episode_lengths, k)[1]
    if not np.array_equal(held.steps, steps):
        row = int(np.argmax(held.steps != steps))
        rule = "" if k == 1 else f" (rows start[i]::{k} with start = RandomState(0).randint(0, {k}, {episodes}))"
        raise UserError(f"{path}: dataset 'steps': expected {steps[row]} in row {row}{rule}, found {held.steps[row]}")


# --- Attributes ---------------------------------------------------------------------------------------------------


def _read_provenance(file: h5py.File, path: str | Path) -> Provenance:
    texts = {
        name: hdf5.text_attribute(file, path, name)
        for name in ("env_id", "policy", "policy_sha256", "backend", "licence", "attribution", "action_view")
    }
    objects = {
        name: hdf5.json_attribute(file, path, name)
        for name in ("env_kwargs", "observation_space", "action_space", "versions")
    }
    for name, value in objects.items():
        if value is not None and not isinstance(value, dict):
            raise UserError(f"{path}: attribute '{name}': expected a JSON object, found {value!r:.60}")
    view = texts.pop("action_view")
    if view not in (None, "raw", "executed"):
        raise UserError(f"{path}: attribute 'action_view': expected 'raw' or 'executed', found {view!r}")
    deterministic = hdf5.attribute(file, path, "deterministic")
    if not isinstance(deterministic, (bool, np.bool_, int, np.integer, type(None))):
        found = shortened(repr(deterministic), 60)
        raise UserError(f"{path}: attribute 'deterministic': expected a boolean, found {found}")
    return Provenance(
        **texts,
        env_kwargs=objects["env_kwargs"] or {},
        observation_space=objects["observation_space"],
        action_space=objects["action_space"],
        versions=objects["versions"] or {},
        action_view=view,  # type: ignore[arg-type]
        deterministic=None if deterministic is None else bool(deterministic),
        seed=_integer_attribute(file, path, "seed", "an integer"),
    )


def _integer_attribute(file: h5py.File, path: str | Path, name: str, expected: str) -> int | None:
    value = hdf5.attribute(file, path, name)
    if value is not None and not isinstance(value, (int, np.integer)):
        raise UserError(f"{path}: attribute '{name}': expected {expected}, found {shortened(repr(value), 60)}")
    return None if value is None else int(value)


def space_to_json(space: Any) -> dict[str, Any]:
    """A space as plain data; null stands for an infinite bound."""
    if isinstance(space, Discrete):
        return {"type": "Discrete", "n": int(space.n)}

    def bounds(values: np.ndarray) -> list[float | None]:
        return [float(v) if np.isfinite(v) else None for v in values.reshape(-1)]

    return {
        "type": "Box",
        "shape": list(space.shape),
        "dtype": str(space.dtype),
        "low": bounds(space.low),
        "high": bounds(space.high),
    }


# --- Writing ------------------------------------------------------------------------------------------------------


def save(path: str | Path, demonstrations: Demonstrations) -> None:
    """Write the native layout, gzip-compressed, dtypes as given. The same content gives the same bytes.

    Atomic: `path` is what it was, or complete. What was written is read back before it takes its place, so that a
    malformed set of arrays is a UserError and no file; so are a missing folder and a full disk.
    """
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        os.close(handle)
        with h5py.File(temporary, "w") as file:
            _write(file, demonstrations)
        read(temporary, name=path)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp's files are the owner's alone
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _write(file: h5py.File, held: Demonstrations) -> None:
    for name in (
        "observations",
        "next_observations",
        "actions",
        "rewards",
        "terminals",
        "timeouts",
        "steps",
        "episode_returns",
        "episode_lengths",
    ):
        values = getattr(held, name)
        if values is not None:
            file.create_dataset(name, data=values, compression="gzip", compression_opts=9, shuffle=True)
    file.attrs["format"], file.attrs["format_version"] = FORMAT, FORMAT_VERSION
    file.attrs["subsample"] = held.subsample
    if held.episode_returns is not None and len(held.episode_returns):
        file.attrs["return_mean"] = float(held.episode_returns.mean())
        file.attrs["return_std"] = float(held.episode_returns.std())
    for name, value in vars(held.provenance).items():
        if isinstance(value, Mapping):
            file.attrs[name] = json.dumps(dict(value), sort_keys=True)
        elif value is not None:
            file.attrs[name] = value


# --- Against an environment ---------------------------------------------------------------------------------------


def check(data: ExpertData, spec: EnvSpec, dtype: str = "float64") -> None:
    """Raise UserError, naming file, field, expected and found, unless the data fit the environment's spaces and `dtype`."""
    for name in ("observations", "actions"):
        if (value := too_large(getattr(data, name), dtype)) is not None:
            raise UserError(f"{data.path}: dataset '{name}': {value:g} does not fit {dtype}; --dtype float64 holds it")
    where, env = f"{data.path}: dataset", f"as the environment {spec.id!r} has"
    expected, found = list(spec.observation_space.shape), list(data.observations.shape[1:])
    if found != expected:
        raise UserError(f"{where} 'observations': expected rows of shape {expected} {env}, found {found}")
    space: Any = spec.action_space
    if isinstance(space, Discrete):
        if data.actions.ndim != 1:
            kind = f"{data.actions.dtype} {list(data.actions.shape)}"
            raise UserError(f"{where} 'actions': expected integers from 0 to {space.n - 1} {env}, found {kind}")
        low, high = int(data.actions.min()), int(data.actions.max())
        if low < 0 or high >= space.n:
            raise UserError(
                f"{where} 'actions': expected integers from 0 to {space.n - 1} {env}, found {low} to {high}"
            )
    elif data.actions.ndim != 2 or data.actions.shape[1:] != space.shape:
        kind = f"{data.actions.dtype} {list(data.actions.shape[1:])}"
        raise UserError(f"{where} 'actions': expected rows of {space.shape[0]} floats {env}, found {kind}")


def other_environment(data: ExpertData, env_id: str) -> str | None:
    """What to warn of where the file says that its episodes are another environment's. None too where it does not say.

    Variants share spaces, and learning from one on another is legitimate; the returns are just not on one scale.
    """
    if data.env_id is None or data.env_id.rpartition(":")[2] == env_id.rpartition(":")[2]:
        return None
    return (
        f"{data.path} was recorded on {shortened(data.env_id, 60)}, not {env_id}: "
        "its returns, and so scaled_score, are of that task"
    )


def action_view(data: ExpertData, action_space: Any, override: ActionView | None = None) -> tuple[ActionView, str]:
    """Whether D and `env.step` get the policy's sample as it is (raw) or clipped to the bounds (executed), and why.

    The learner must be seen as the expert was: else the discriminator tells them apart by the clipping alone. The
    reason begins with "warning:" where it is a guess. `data` must have passed `check`.
    """
    if isinstance(action_space, Discrete):
        return "raw", "discrete actions have no bounds to clip to"
    if override is not None:
        return override, "as asked for"
    if data.action_view is not None:
        return data.action_view, f"as {data.path} states"
    if _outside(data.actions, action_space.low, action_space.high).any():
        return "raw", f"{data.path} does not say, but holds actions outside the bounds"
    return "executed", f"warning: {data.path} does not say, and no action in it is outside the bounds: taken as clipped"


def _outside(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Which action coordinates are outside the bounds by more than rounding, to float32 at best: [M, A] bool."""
    rounding = max(1e-6, float(np.finfo(actions.dtype).eps))
    low, high = low.astype(np.float64), high.astype(np.float64)
    slack = rounding * np.maximum(1.0, np.abs(np.where(np.isfinite(high), high, 1.0)))
    return (actions < low - slack) | (actions > high + slack)


# --- Describing ---------------------------------------------------------------------------------------------------


def info(path: str | Path, held: Demonstrations | None = None) -> list[tuple[str, str]]:
    """All that a file holds (`held`, if it has been read) as (name, value) lines. Raises UserError as `load` does."""
    held = held or read(path)
    facts, lengths = held.provenance, held.episode_lengths
    layout = f"native, version {FORMAT_VERSION}" if held.says_ends else "paper (obs_B_T_Do)"
    lines = [
        ("file", str(path)),
        ("sha256", hdf5.sha256(path)),
        ("format", layout),
        ("environment", " ".join([facts.env_id or "unknown", json.dumps(dict(facts.env_kwargs))])),
        ("episodes", str(len(lengths))),
        ("transitions", f"{len(held.observations)} rows of {lengths.sum()} steps (subsample {held.subsample})"),
        ("observations", f"{held.observations.dtype} {list(held.observations.shape)}"),
        ("actions", f"{held.actions.dtype} {list(held.actions.shape)}, {_action_range(held)}"),
        ("action view", facts.action_view or "unknown"),
        ("returns", _spread(held.episode_returns)),
        ("lengths", _spread(lengths)),
        ("ends", f"{held.terminals.sum()} terminal, {held.timeouts.sum()} by time limit"),
        ("policy", " ".join(filter(None, [facts.policy, _manner(facts.deterministic)])) or "unknown"),
        ("policy sha256", facts.policy_sha256 or "unknown"),
        ("seed", "unknown" if facts.seed is None else str(facts.seed)),
        ("recorded with", ", ".join(f"{k} {v}" for k, v in sorted(facts.versions.items())) or "unknown"),
        ("backend", facts.backend or "unknown"),
        ("licence", facts.licence or "unknown"),
        ("attribution", facts.attribution or "unknown"),
    ]
    return lines


def selection(data: ExpertData) -> str:
    """What a learner is given, and how good it is beside the file's mean, for a person."""
    kept, held, returns = data.trajectories, data.trajectories_held, data.episode_returns
    which = f"all {held}" if kept == held else f"the first {kept} of {held}" if kept > 1 else f"the first of {held}"
    said = f"{len(data.actions)} pairs of {which} trajectories"
    if returns is None:
        return said
    beside = "" if kept == held else f" (all {held}: {data.return_mean:.1f})"
    return f"{said}, whose return is {returns.mean():.1f}{beside}"


def _manner(deterministic: bool | None) -> str:
    return "" if deterministic is None else "(deterministic)" if deterministic else "(stochastic)"


def _spread(values: np.ndarray | None) -> str:
    if values is None:
        return "unknown (no rewards)"
    return f"{values.mean():.1f} +- {values.std():.1f}, {values.min():.6g} to {values.max():.6g}"


def _action_range(held: Demonstrations) -> str:
    text = f"{held.actions.min():.6g} to {held.actions.max():.6g}"
    space = held.provenance.action_space or {}
    if space.get("type") != "Box" or held.actions.ndim != 2:
        return text
    try:
        low = np.array([-np.inf if v is None else v for v in space["low"]], np.float64)
        high = np.array([np.inf if v is None else v for v in space["high"]], np.float64)
        share = float(_outside(held.actions, low, high).mean())
    except (KeyError, TypeError, ValueError):
        return text  # somebody else's idea of a space
    return f"{text}, {share:.1%} of coordinates outside the bounds {low.min():g} to {high.max():g}"
