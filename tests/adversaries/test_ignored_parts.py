"""What an adversary does not see of an observation, by hand and through a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete

import trpo_gail
from trpo_gail.adversaries.inputs import Inputs
from trpo_gail.adversaries.network import DiscriminatorNetwork
from trpo_gail.config.tree import DiscriminatorConfig, PolicyConfig
from trpo_gail.errors import UserError
from trpo_gail.spaces.layout import Layout
from trpo_gail.spaces.spec import EnvSpec

ROBOT = Dict({"camera": Box(0, 255, (4, 4, 3), np.uint8), "mode": Discrete(3), "speed": Box(-1, 1, (2,))})
FLAT = Box(-1, 1, (6,))


@pytest.mark.parametrize(
    ("space", "names", "kept"),
    [
        (FLAT, ["5"], [0, 1, 2, 3, 4]),
        (FLAT, ["1:3", "0"], [3, 4, 5]),
        (ROBOT, ["camera"], list(range(48, 53))),
        (ROBOT, ["mode", "speed"], list(range(48))),
        (ROBOT, [], list(range(53))),
    ],
)
def test_columns_that_are_left(space: Box | Dict, names: list[str], kept: list[int]) -> None:
    layout, columns = Layout.of(space).without(names)
    assert columns.tolist() == kept and layout.size == len(kept)
    rows = np.arange(2 * Layout.of(space).size).reshape(2, -1)
    for part in layout.parts:
        whole = next(p for p in Layout.of(space).parts if p.name == part.name)
        assert part.kind == whole.kind
        if part.path:
            assert rows[:, columns][:, part.columns].tolist() == rows[:, whole.columns].tolist()


@pytest.mark.parametrize(
    ("space", "names", "said"),
    [
        (FLAT, ["6"], "'6' is no part of the observation, which has the columns 0 to 5"),
        (FLAT, ["3:3"], "'3:3' is no part"),
        (FLAT, ["-1"], "'-1' is no part"),
        (ROBOT, ["kamera"], "'kamera' is no part of the observation, which has the parts camera, mode, speed"),
        (ROBOT, ["0"], "'0' is no part"),
        (FLAT, ["0:6"], "nothing of the observation is left"),
    ],
)
def test_mistakes(space: Box | Dict, names: list[str], said: str) -> None:
    spec = EnvSpec("Toy-v0", "gymnasium", {}, space, Discrete(2))
    with pytest.raises(UserError, match=rf"^--discriminator.ignore: {said}.* \(environment 'Toy-v0'\)$"):
        Inputs(spec, ignore=names)


@pytest.mark.parametrize("actions", [Discrete(2), Box(-1, 1, (2,))])
def test_the_discriminator_cannot_tell_them(actions: Discrete | Box) -> None:
    spec = EnvSpec("Toy-v0", "gymnasium", {}, ROBOT, actions)
    rng = np.random.default_rng(0)
    network = DiscriminatorNetwork(
        DiscriminatorConfig(ignore=("camera", "mode")), spec, torch.Generator().manual_seed(0)
    )
    assert network.inputs.size == 2 + (0 if isinstance(actions, Discrete) else 2)
    rows = rng.normal(size=(2, spec.observation_size))
    rows[1, 51:] = rows[0, 51:]  # they differ in what is ignored alone
    acted = np.zeros(2, np.int64) if isinstance(actions, Discrete) else np.zeros((2, 2))
    columns = np.concatenate(network.inputs.features(rows, acted), 1)
    assert (columns[0] == columns[1]).all() and columns.shape[1] == network.inputs.size


def test_it_is_trained_without_them(tmp_path: Path) -> None:
    """Column 3 of CartPole gives the expert away; nobody sees it."""
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(100, 4))
    seen[:, 3] = 50.0
    expert = trpo_gail.Demonstrations.from_arrays(seen, rng.integers(2, size=100), episode_ends=[50, 100])

    def accuracy(ignore: tuple[str, ...], name: str) -> float:
        config = trpo_gail.Config(
            "CartPole-v1", steps=400, num_envs=2, timesteps_per_batch=200, d_step=60, eval_every=0, final_episodes=0,
            policy=PolicyConfig(hidden_sizes=(8,)),
            discriminator=DiscriminatorConfig(ignore=ignore, d_stepsize=0.01),
        )  # fmt: skip
        trpo_gail.run(config, tmp_path / name, quiet=True, expert=expert)
        names, *rows = (tmp_path / name / "metrics.csv").read_text().splitlines()
        return float(rows[-1].split(",")[names.split(",").index("d_accuracy_expert")])

    assert accuracy((), "sees") > 0.98
    assert accuracy(("1:4",), "blind") < 0.9  # what is left are positions near 0 beside a normal distribution


def test_linear_rewards_take_no_image(tmp_path: Path) -> None:
    from trpo_gail.adversaries.apprenticeship import Apprenticeship
    from trpo_gail.parallel import Workers
    from trpo_gail.sampling.transitions import Transitions

    spec = EnvSpec("Toy-v0", "gymnasium", {}, ROBOT, Discrete(2))
    no, rows = np.zeros(9, bool), np.random.default_rng(0).normal(size=(9, 53))
    expert = Transitions(rows, np.zeros(9, np.int64), no, no, np.arange(9), lambda: rows)
    for ignore in ((), ("mode",)):
        with pytest.raises(UserError, match=r"^--adversary fem: .* camera of the environment 'Toy-v0' is an image"):
            Apprenticeship("fem", 1.0, spec, expert, np.random.default_rng(0), Workers(), ignore)
    made = Apprenticeship("fem", 1.0, spec, expert, np.random.default_rng(0), Workers(), ("camera",))
    assert made.features.size == 2 * 2 * 5 + 1
