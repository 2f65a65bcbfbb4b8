"""Where a run's policy begins, if it does not begin at random: with another run's policy, or with a clone of the
demonstrations."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from trpo_gail import cloning
from trpo_gail.build import make_policy
from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import CloningConfig, Config
from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.learner import Learner
from trpo_gail.networks.placing import share
from trpo_gail.parallel import Workers
from trpo_gail.policies.policy import Policy
from trpo_gail.records import Stats
from trpo_gail.runs import checkpoint
from trpo_gail.sampling.rollout import GivenUp
from trpo_gail.spaces import alike
from trpo_gail.spaces.spec import EnvSpec

CLONE = "bc"  # in place of a run
# Fields on which a policy's actions depend, besides its parameters and its statistics.
_NETWORK = tuple(
    f"policy.{name}"
    for name in (
        "hidden_sizes",
        "network",
        "encoder",
        "images",
        "numbers",
        "normalise_observations",
        "observation_clip",
    )
)


# ---- another run's policy --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """A policy that a run begins with."""

    policy: Policy
    path: Path  # of its checkpoint
    sha256: str  # of that file


def network_of(run: str) -> dict[str, Any]:
    """The flags, by path, that give the network of a run's policy. Raises UserError."""
    path = _checkpoint(run)
    flat = flatten(checkpoint.config_of(checkpoint.read(path), path))
    return {name: flat[name] for name in _NETWORK}


def read(config: Config, spec: EnvSpec, known: str | None = None, sha256: str | None = None) -> Start:
    """The policy of the run that the config names, in the config's dtype. `known`, `sha256`: its file, if the run was begun
    before, and that file's digest.

    Raises UserError, in one line, if there is none, or if it does not fit the environment or the config.
    """
    assert config.init_policy is not None
    path = _checkpoint(known or config.init_policy)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 not in (None, found):
        raise UserError(f"--init_policy: {path} is no longer the file that the run was made with (its SHA-256 differs)")
    content = checkpoint.read(path)
    theirs = checkpoint.config_of(content, path)
    _check_spaces(path, checkpoint.spec_of(content), spec)
    _check_network(path, theirs, config)
    policy = make_policy(config, spec)
    try:
        policy.load_state_dict(content["learner"]["policy"])
    except (KeyError, RuntimeError) as error:
        raise UserError(f"--init_policy: {path}: the parameters are not those of its config: damaged?") from error
    return Start(policy, path.absolute(), found)


def _checkpoint(run: str) -> Path:
    """The file of a run folder's last policy, or the file itself."""
    path = Path(run)
    file = checkpoint.last_path(path) if path.is_dir() else path if path.is_file() else None
    if file is None:
        what = "no checkpoint of a run in this folder" if path.is_dir() else "no such folder or file"
        raise UserError(f"--init_policy: {run}: {what}; expected a run folder, a checkpoint or {CLONE}")
    return file


def _check_spaces(path: Path, theirs: EnvSpec, ours: EnvSpec) -> None:
    if alike.columns(theirs) != alike.columns(ours):
        pair = alike.contrast(theirs.observation_space, ours.observation_space)
        raise UserError(f"--init_policy: {path}: a policy for observations {pair[0]}, but {ours.id} has {pair[1]}")
    if alike.acts(theirs) != alike.acts(ours):
        pair = alike.contrast(theirs.executed_space, ours.executed_space)
        raise UserError(f"--init_policy: {path}: a policy for actions {pair[0]}, but {ours.id} has {pair[1]}")
    if (theirs.action_scaling is None) != (ours.action_scaling is None):
        units, flag = (
            ("[-1, 1]", "action_scaling") if theirs.action_scaling else ("the environment", "no_action_scaling")
        )
        raise UserError(f"--init_policy: {path}: its policy acts in units of {units}: --{flag} expected")


def _check_network(path: Path, theirs: Config, ours: Config) -> None:
    before, now = flatten(theirs), flatten(ours)
    for name in _NETWORK:
        if before[name] != now[name]:
            raise UserError(f"--{name}: {now[name]} given, but the policy of --init_policy {path} has {before[name]}")


# ---- a clone of the demonstrations -----------------------------------------------------------------------------------


def check_demonstrations(expert: Demonstrations | None) -> None:
    """Raise UserError unless there are pairs to clone."""
    if expert is None:
        raise UserError(f"--init_policy {CLONE}: there are no demonstrations to clone (--expert)")
    if len(expert.actions) < 2:
        raise UserError(f"{expert.path}: 1 pair, at least 2 expected: one to learn from and one for validation")


def clone(
    config: Config, learner: Learner, expert: Demonstrations, give_up: Callable[[], bool], workers: Workers
) -> tuple[Stats, Stats]:
    """Clone the demonstrations into a fresh policy; returns the first record and that of the best score. A collective.

    Rank 0 learns, on one thread, so that the result depends on the seed alone. Its seconds count as training. Raises
    GivenUp on all ranks if `give_up`, asked after each step, is true.
    """
    policy, began = learner.policy, time.perf_counter()
    settings = {name: value for name, value in asdict(config.cloning).items() if name != "min_log_std"}
    records: list[Stats] = []

    def each() -> None:
        workers.pulse.move()  # the other ranks wait
        if give_up():
            raise GivenUp

    def learn() -> Stats | None:
        if not workers.main:
            return None
        made = CloningConfig(config.env, str(expert.path), seed=config.seed, dtype=config.dtype, **settings)
        with contextlib.suppress(GivenUp), _one_thread(), torch.enable_grad():
            best = cloning.clone(policy, expert.observations, expert.actions, made, records.append, "cloning.", each)
            least = config.cloning.min_log_std
            _keep_spread(policy, config.policy.init_log_std if least is None else least)
            return best
        return None

    best = workers.together(learn)
    first, best = workers.share((records[0] if records else None, best))
    if first is None or best is None:
        raise GivenUp
    share(workers, policy)
    seconds = time.perf_counter() - began
    learner.progress.wall_s += seconds
    learner.progress.cloning_s += seconds
    return first, best


@torch.no_grad()
def _keep_spread(policy: Policy, least: float) -> None:
    """Raise a Gaussian policy's log standard deviation to at least this.

    Cloning fits it to the errors of the mean on the pairs learnt from. If the demonstrations are deterministic or few,
    these are tiny. Then the policy explores nothing, and within the same KL its mean moves by as little.
    """
    if "log_std" in policy.family.own:
        log_std: Any = policy.log_std
        log_std.clamp_(min=least)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
