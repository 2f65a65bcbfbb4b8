"""The control pays what a discriminator pays that knows nothing: log 2 for every transition, for ever."""

from __future__ import annotations

import math

import numpy as np
import pytest
import toys

from trpo_gail.adversaries.constant import ConstantReward
from trpo_gail.adversaries.rewards import FORMS


@pytest.mark.parametrize(("kind", "pay"), [("-log(1-D)", math.log(2)), ("log(D)", -math.log(2))])
def test_every_transition_is_paid_as_by_a_half(kind: str, pay: float, rng: np.random.Generator) -> None:
    adversary = ConstantReward(FORMS[kind].sign)
    seen = toys.seen(toys.rollout(["..T_.", "....."]))
    for _ in range(2):
        np.testing.assert_array_equal(adversary.reward(seen), np.full(9, pay))
        assert adversary.fit(seen, rng) == {}
    adversary.load_state_dict(adversary.state_dict())
    assert adversary.reward(seen)[0] == pay
