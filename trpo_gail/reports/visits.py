"""Which states the expert visits, and which the learner: what imitation is to make alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import catalogue, load
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import hdf5
from trpo_gail.experts.rows import as_rows
from trpo_gail.parallel import Workers
from trpo_gail.reports.run_data import RunData
from trpo_gail.runs import checkpoint
from trpo_gail.runs.evaluate import FINAL, Evaluator, load_in_env
from trpo_gail.runs.run_folder import EXPERT
from trpo_gail.spaces.spec import EnvSpec

BINS = 40
TAIL = 0.005  # of the rows, on each side, are beyond a histogram's ends and counted in its outermost bins


@dataclass(frozen=True)
class Visits:
    """Observations of some episodes, and how they were made."""

    episodes: Sequence[np.ndarray]  # [T, O] each
    returns: np.ndarray | None  # [E] of whole episodes
    stochastic: bool
    whole: bool = True  # False: every so many-th step only
    actions: np.ndarray | None = None  # [N, A] in the environment's own units; integers are labels

    @property
    def rows(self) -> np.ndarray:  # [N, O]
        return np.concatenate(list(self.episodes))


def demonstrations(run: RunData) -> Demonstrations:
    """The file that the run learned from. Raises UserError if there is no such file, or no longer."""
    named = [str(path) for path in (run.setting.get("expert"), run.config.get("expert")) if path]
    if not named:
        raise UserError("the run had no demonstrations")
    found = [path for path in (*map(catalogue.located, named), run.path / EXPERT) if path.is_file()]
    if not found:
        raise UserError(f"the file of demonstrations, {Path(named[0]).name}, is no longer where the run found it")
    recorded = run.setting.get("expert_sha256")
    same = [path for path in found if not recorded or hdf5.sha256(path) == recorded]
    if not same:
        raise UserError(
            f"the file of demonstrations, {found[0].name}, is not the one that the run had: its SHA-256 differs"
        )
    return load.read(same[0])


def of_expert(run: RunData) -> Visits:
    """All rows of the file that the run learned from, not only those that it was given. Raises UserError as
    `demonstrations` does, and without a checkpoint."""
    held = demonstrations(run)
    rows = as_rows(held, _spec_of(run)).observations
    return Visits(
        episodes=np.split(rows, np.nonzero(np.diff(held.episode_of))[0] + 1),
        returns=held.finished_returns,
        stochastic=held.provenance.deterministic is not True,  # unknown: as the paper's were
        whole=held.subsample == 1,
        actions=held.actions.reshape(len(held.actions), -1) if held.has_actions else None,
    )


def _spec_of(run: RunData) -> EnvSpec:
    """As its last checkpoint has it. Raises UserError if there is none."""
    last = checkpoint.last_path(run.path)
    if last is None:
        raise UserError("there is no checkpoint that says how observations become rows")
    return checkpoint.spec_of(checkpoint.read_of_run(run.path, last))


def of_learner(run: RunData, episodes: int, stochastic: bool) -> Visits:
    """Roll the run's last policy out, from starts of its final evaluation's kind.

    Raises UserError without a checkpoint, or where its environment cannot be made here.
    """
    policy = load_in_env(run.path)
    evaluator = Evaluator(policy.config, policy.own_spec, Workers())
    parts, returns, actions = [], [], []
    for rollout, done in evaluator.rollouts(policy, episodes, FINAL, stochastic=stochastic):
        returns.append(done.returns)
        acted = policy.spec.executed.outward(rollout.actions[rollout.valid])
        actions.append(acted.reshape(len(acted), -1))
        for n in range(rollout.valid.shape[1]):
            rows, steps = rollout.observations[:-1, n][rollout.valid[:, n]], rollout.steps[:, n][rollout.valid[:, n]]
            parts += np.split(rows, np.nonzero(steps == 0)[0][1:])
    return Visits(parts, np.concatenate(returns), stochastic, actions=np.concatenate(actions))


def bin_edges(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Ends of bins [BINS + 1] that hold all but the tails of each sample [N]."""
    low = min(np.quantile(sample, TAIL) for sample in samples)
    high = max(np.quantile(sample, 1 - TAIL) for sample in samples)
    if high <= low:  # a constant
        low, high = low - 0.5, low + 0.5
    return np.linspace(low, high, BINS + 1)


def shares(sample: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The share of a sample [N] in each bin [BINS]; what is beyond the ends counts in the outermost."""
    counts = np.histogram(np.clip(sample, edges[0], edges[-1]), edges)[0]
    return counts / counts.sum()


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Total variation between two samples, [N, O] and [M, O], by dimension [O]: 0 alike, 1 nothing in common.

    It is that of their histograms, so small samples of one distribution are some way apart, too.
    """
    values = []
    for x, y in zip(a.T, b.T, strict=True):
        edges = bin_edges([x, y])
        values.append(0.5 * np.abs(shares(x, edges) - shares(y, edges)).sum())
    return np.array(values)
