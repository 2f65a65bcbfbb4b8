"""What becomes of a gradient penalty and of a step size that the config leaves open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import toys
from gymnasium.spaces import Box, Dict

from trpo_gail.adversaries.network import DiscriminatorNetwork
from trpo_gail.adversaries.update import settled
from trpo_gail.build import make_adversary, make_policy
from trpo_gail.config.files import from_dict, to_dict
from trpo_gail.config.presets import changed, preset
from trpo_gail.config.tree import Config, DiscriminatorConfig
from trpo_gail.parallel import Workers
from trpo_gail.spaces.spec import EnvSpec

VECTOR, PICTURE = Box(-1, 1, (3,), np.float32), Box(0, 255, (6, 6, 3), np.uint8)


def resolved(space: Any, **given: Any) -> DiscriminatorConfig:
    config = DiscriminatorConfig(hidden_size_adversary=4, **given)
    network = DiscriminatorNetwork(config, EnvSpec("any", "gymnasium", observation_space=space), torch.Generator())
    return settled(config, network, 0.0)


@pytest.mark.parametrize(
    ("space", "given", "weight", "stepsize"),
    [
        (VECTOR, {}, 1.0, 3e-3),
        (VECTOR, {"normalise_decay": 0.9}, 1.0, 3e-3),
        (VECTOR, {"normalise_decay": 1.0}, 3.0, 3e-3),
        (VECTOR, {"normalise": "none"}, 3.0, 3e-3),
        (VECTOR, {"loss": "least-squares"}, 3.0, 3e-3),
        (PICTURE, {}, 0.0, 3e-4),
        (Dict({"camera": PICTURE, "speed": VECTOR}), {}, 0.0, 3e-4),
        (Dict({"camera": PICTURE, "speed": VECTOR}), {"ignore": ("camera",)}, 1.0, 3e-3),
        (PICTURE, {"loss": "wasserstein"}, 3.0, 3e-3),
        (VECTOR, {"expert_batch_size": 7}, 0.0, 3e-4),
        (VECTOR, {"expert_batch_size": 7, "gradient_penalty_at": "both"}, 1.0, 3e-3),
        (VECTOR, {"expert_batch_size": 7, "gradient_penalty_at": "expert", "loss": "wasserstein"}, 3.0, 3e-3),
        (PICTURE, {"gradient_penalty": 7.0}, 7.0, 3e-3),
        (VECTOR, {"gradient_penalty": 0.0}, 0.0, 3e-4),
        (VECTOR, {"d_stepsize": 0.01}, 1.0, 0.01),
        (PICTURE, {"d_stepsize": 0.01}, 0.0, 0.01),
    ],
)
def test_what_they_become(space: Any, given: dict[str, Any], weight: float, stepsize: float) -> None:
    found = resolved(space, **given)
    assert (found.gradient_penalty, found.d_stepsize) == (weight, stepsize)


@pytest.mark.parametrize("name", ["paper", "stable-baselines"])
def test_presets_of_others_have_no_penalty(name: str) -> None:
    assert preset(name, "any").discriminator.gradient_penalty == 0.0  # type: ignore[arg-type]


def test_a_file_from_before_it_has_no_penalty() -> None:
    saved = to_dict(Config("any"))
    del saved["discriminator"]["gradient_penalty"]
    assert from_dict(Config, saved, "config.json").discriminator.gradient_penalty == 0.0


def test_a_file_from_before_statistics_could_forget_keeps_its_weight() -> None:
    saved = to_dict(Config("any"))
    del saved["discriminator"]["normalise_decay"]
    read = from_dict(Config, saved, "config.json").discriminator
    assert read.normalise_decay == 1.0 and read.gradient_penalty is None
    assert resolved(VECTOR, normalise_decay=1.0).gradient_penalty == 3.0


@pytest.mark.parametrize("at", ["between", "expert", "both"])
def test_a_picture_is_penalised_alike_whatever_its_pixels_count_up_to(at: str) -> None:
    """Pixels of uint8 are those of floats from 0 to 1, times 255."""
    penalty = {"discriminator.gradient_penalty": 2.0, "discriminator.gradient_penalty_at": at}
    config = changed(Config("any", d_step=1, dtype="float64"), penalty)
    pixels, rng = np.random.default_rng(0).integers(0, 256, (9, 108)), torch.Generator().manual_seed(1)
    found, noise = [], None
    for camera, named in ((PICTURE, ()), (Box(0, 1, PICTURE.shape, np.float64), ("",))):
        spec = EnvSpec("any", "gymnasium", {}, camera, Box(-1, 1, (2,)), images=named)
        rows = pixels.astype(np.uint8) if camera is PICTURE else pixels / 255
        expert, learner = (toys.pairs(side, np.ones((len(side), 2))) for side in (rows[:4], rows[4:]))
        made: Any = make_adversary(config, spec, expert, make_policy(config, spec), Workers())
        vector = made.adam.flat.vector
        noise = 0.1 * torch.randn(vector.shape, generator=rng, dtype=vector.dtype) if noise is None else noise
        with torch.no_grad():
            vector += noise
        stats = made.fit(learner, np.random.default_rng(0))
        found.append((stats["d_gradient_penalty"], made.adam.mean_gradient))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-9)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-7, atol=1e-10)
