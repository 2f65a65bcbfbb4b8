"""What is checked before a run has a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from trpo_gail.config.leaves import flatten
from trpo_gail.config.presets import changed
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.experts.load import load
from trpo_gail.parallel import Workers
from trpo_gail.runs.preparing import EACH_RANKS_OWN, same_environment, same_everywhere, same_settings
from trpo_gail.spaces.spec import EnvSpec

EXPERT = Path(__file__).parents[1] / "expert_data" / "CartPole-v0.h5"


class Three(Workers):
    """Rank 0 of three, of which the last is on another host and has another file."""

    def __init__(self) -> None:
        super().__init__()
        self.host_of = ["one", "one", "two"]

    def gather(self, value: str) -> list[str]:  # type: ignore[override]
        return [value, value, value[::-1]]


def test_hosts_with_other_demonstrations_at_the_same_path_are_told_apart() -> None:
    held = load(EXPERT)
    same_everywhere(held, Workers())
    same_everywhere(None, Workers())
    with pytest.raises(UserError, match=r"rank 2 on two has other demonstrations than rank 0 on one, by their SHA-256"):
        same_everywhere(held, Three())


class Second(Workers):
    """Rank 1 of two, beside a rank 0 that shares this."""

    def __init__(self, first: Any) -> None:
        super().__init__()
        self.rank, self.host_of, self._first = 1, ["one", "two"], first

    def share(self, value: Any) -> Any:
        return self._first


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"observation_space": Box(-1, 1, (3,))}, "other observations .* Box.*(3,)"),
        ({"action_space": Box(-2, 2, (1,), np.float32)}, "other actions .* Box.-2.0, 2.0"),
        ({"action_space": Discrete(3)}, "other actions .* Discrete.3"),
        ({"max_episode_steps": 50}, "another time limit than rank 0 on one: 50, there 100; .* as --max_episode"),
        ({"backend": "envpool"}, "another backend than rank 0 on one: envpool, there gymnasium"),
    ],
)
def test_hosts_with_another_environment_of_the_same_name_are_told_apart(change: dict[str, Any], says: str) -> None:
    """Ranks ended in an error of MPI, or learned together in silence."""
    spec = EnvSpec("Toy-v0", "gymnasium", {"seen": print}, Box(-1, 1, (4,)), Box(-1, 1, (1,), np.float32), 100)
    same_environment(spec, Workers())
    same_environment(spec, Second(spec))
    with pytest.raises(UserError, match=f"^environment 'Toy-v0': rank 1 on two has {says}"):
        same_environment(replace(spec, **change), Second(spec))


def test_ranks_with_other_settings_are_told_apart() -> None:
    """As by another copy of a file of flags: each learned by its own, in silence."""
    config = Config(env="CartPole-v0")
    first = {name: str(value) for name, value in flatten(config).items() if name not in EACH_RANKS_OWN}
    same_settings(config, Workers())
    same_settings(replace(config, device="cpu", expert="/scratch/e.h5", env_kwargs='{"port": 5001}'), Second(first))
    with pytest.raises(
        UserError, match=r"^--seed: 7 on rank 1 on two, 0 on rank 0 on one; expected the same on all ranks"
    ):
        same_settings(replace(config, seed=7), Second(first))
    with pytest.raises(UserError, match=r"^--policy.hidden_sizes: \(4,\) on rank 1 on two, "):
        same_settings(changed(config, {"policy.hidden_sizes": (4,)}), Second(first))
