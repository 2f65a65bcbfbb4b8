"""What becomes of a gradient penalty that the config leaves open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict

from trpo_gail.adversaries.network import DiscriminatorNetwork
from trpo_gail.adversaries.update import settled
from trpo_gail.config.files import from_dict, to_dict
from trpo_gail.config.presets import preset
from trpo_gail.config.tree import Config, DiscriminatorConfig
from trpo_gail.spaces.spec import EnvSpec

VECTOR, PICTURE = Box(-1, 1, (3,), np.float32), Box(0, 255, (6, 6, 3), np.uint8)


def penalty(space: Any, **given: Any) -> float | None:
    config = DiscriminatorConfig(hidden_size_adversary=4, **given)
    network = DiscriminatorNetwork(config, EnvSpec("any", "gymnasium", observation_space=space), torch.Generator())
    return settled(config, network).gradient_penalty


@pytest.mark.parametrize(
    ("space", "given", "expected"),
    [
        (VECTOR, {}, 3.0),
        (PICTURE, {}, 0.0),
        (Dict({"camera": PICTURE, "speed": VECTOR}), {}, 0.0),
        (Dict({"camera": PICTURE, "speed": VECTOR}), {"ignore": ("camera",)}, 3.0),
        (PICTURE, {"loss": "wasserstein"}, 3.0),
        (VECTOR, {"expert_batch_size": 7}, 0.0),
        (VECTOR, {"expert_batch_size": 7, "gradient_penalty_at": "both"}, 3.0),
        (PICTURE, {"gradient_penalty": 7.0}, 7.0),
        (VECTOR, {"gradient_penalty": 0.0}, 0.0),
    ],
)
def test_what_it_becomes(space: Any, given: dict[str, Any], expected: float) -> None:
    assert penalty(space, **given) == expected


@pytest.mark.parametrize("name", ["paper", "stable-baselines"])
def test_presets_of_others_have_no_penalty(name: str) -> None:
    assert preset(name, "any").discriminator.gradient_penalty == 0.0  # type: ignore[arg-type]


def test_a_file_from_before_it_has_no_penalty() -> None:
    saved = to_dict(Config("any"))
    del saved["discriminator"]["gradient_penalty"]
    assert from_dict(Config, saved, "config.json").discriminator.gradient_penalty == 0.0
