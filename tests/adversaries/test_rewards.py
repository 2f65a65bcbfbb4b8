"""Reward forms and pay by hand; what `auto` becomes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from trpo_gail.adversaries import rewards
from trpo_gail.adversaries.pay import Pay
from trpo_gail.adversaries.rewards import FORMS
from trpo_gail.config.tree import Config, DiscriminatorConfig
from trpo_gail.experts.facts import Ends
from trpo_gail.parallel import Workers

D = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
X = torch.log(D) - torch.log(1 - D)


def test_forms_by_hand() -> None:
    expected = {
        "-log(1-D)": -torch.log(1 - D),
        "log(D)": torch.log(D),
        "logit": torch.log(D) - torch.log(1 - D),
        "fairl": -X * D / (1 - D),
        "amp": 1 - (1 - D) ** 2,
    }
    assert set(expected) == set(FORMS)
    for name, values in expected.items():
        torch.testing.assert_close(FORMS[name].of_logit(X), values)


@pytest.mark.parametrize("name", FORMS)
def test_a_sure_discriminator_pays_a_finite_number_of_the_forms_sign(name: str) -> None:
    paid = FORMS[name].of_logit(torch.tensor([-500.0, -5.0, 0.0, 5.0, 500.0]))
    assert paid.isfinite().all()
    if FORMS[name].sign:
        assert (FORMS[name].sign * paid >= 0).all()
    else:
        assert paid.min() < 0 < paid.max()


SUCCESS, ALIVE, MIXED, UNSAID = Ends(9, 1, 0), Ends(0, 10, 0), Ends(5, 5, 0), None


@pytest.mark.parametrize(
    ("ends", "config", "form"),
    [
        (SUCCESS, {}, "logit"),
        (SUCCESS, {"discriminator": DiscriminatorConfig(absorbing=False)}, "log(D)"),
        (ALIVE, {}, "-log(1-D)"),
        (MIXED, {}, "-log(1-D)"),
        (UNSAID, {}, "-log(1-D)"),
        (SUCCESS, {"discriminator": DiscriminatorConfig(reward="fairl")}, "fairl"),
        (SUCCESS, {"adversary": "airl"}, "logit"),
        (SUCCESS, {"discriminator": DiscriminatorConfig(absorbing=True)}, "logit"),
        (ALIVE, {"discriminator": DiscriminatorConfig(loss="wasserstein", gradient_penalty=10.0)}, "logit"),
        (SUCCESS, {"adversary": "constant"}, "log(D)"),
    ],
)
def test_what_auto_becomes(ends: Ends | None, config: dict[str, Any], form: str) -> None:
    made = Config("Hopper-v4", **config)
    assert rewards.chosen(made, ends, 100) == form
    told = rewards.why(made, ends, 100)
    assert told is None if made.discriminator.reward != "auto" else told is not None and f"reward {form}" in told


@pytest.mark.parametrize(
    ("ends", "limit", "config", "absorbs"),
    [
        (SUCCESS, 100, {}, True),
        (SUCCESS, None, {}, False),  # there is no time limit up to which an episode could go on
        (ALIVE, 100, {}, False),
        (MIXED, 100, {}, False),
        (UNSAID, 100, {}, False),
        (SUCCESS, 100, {"adversary": "airl"}, False),
        (SUCCESS, 100, {"discriminator": DiscriminatorConfig(reward="log(D)")}, False),
        (SUCCESS, 100, {"discriminator": DiscriminatorConfig(absorbing=False)}, False),
        (ALIVE, 100, {"discriminator": DiscriminatorConfig(absorbing=True)}, True),
    ],
)
def test_when_states_are_absorbing(ends: Ends | None, limit: int | None, config: dict[str, Any], absorbs: bool) -> None:
    assert rewards.absorbs(Config("x", **config), ends, limit) == absorbs


def test_auto_says_how_the_demonstrations_end() -> None:
    said = "9 of 10 demonstrations end by termination"
    told = rewards.why(Config("x", adversary="fem"), SUCCESS, None)
    assert told == f"reward log(D) (auto: {said}), never positive: it favours ending"
    told = rewards.why(Config("x"), SUCCESS, None)
    since = "since the environment has no time limit"
    assert told == f"reward log(D) (auto: {said}, {since}), never positive: it favours ending"
    told = rewards.why(Config("x"), replace(SUCCESS, by_length=True), 100)
    early = "9 of 10 demonstrations end before the time limit"
    assert told == f"reward logit with absorbing states (auto: {early}), which favours neither ending nor living on"


# ---- pay -------------------------------------------------------------------------------------------------------------


def test_pay_is_the_reward_if_nothing_is_asked_for() -> None:
    reward = np.array([1.0, -2.0])
    pay = Pay("none", None, 1.0, Workers())
    pay.see(reward)
    pay.settle()
    assert pay(reward) is reward and pay.state_dict() == {}


def test_pay_is_clipped_and_then_scaled() -> None:
    np.testing.assert_array_equal(Pay("none", 1.5, 2.0, Workers())(np.array([1.0, -4.0, 9.0])), [2.0, -3.0, 3.0])


@pytest.mark.parametrize("kind", ["scale", "standardise"])
def test_pay_is_normalised_by_what_was_seen_before(kind: Any) -> None:
    seen = np.array([1.0, 3.0, 5.0])
    pay = Pay(kind, None, 1.0, Workers())
    np.testing.assert_array_equal(pay(seen), seen)  # nothing was seen yet
    pay.see(seen)
    np.testing.assert_array_equal(pay(seen), seen)  # within an iteration the pay stays
    pay.settle()
    expected = (seen - (3.0 if kind == "standardise" else 0.0)) / math.sqrt(8 / 3)
    np.testing.assert_allclose(pay(seen), expected, rtol=1e-12)
    again = Pay(kind, None, 1.0, Workers())
    again.load_state_dict(pay.state_dict())
    np.testing.assert_array_equal(again(seen), pay(seen))


@pytest.mark.parametrize(("first", "least"), [(-math.log(2.0), 0.1 * math.log(2.0)), (0.0, 1.0)])
def test_rewards_that_do_not_vary_are_divided_by_no_tiny_number(first: float, least: float) -> None:
    """As those of a discriminator that has not learned: the next ones would be enormous."""
    pay = Pay("scale", None, 1.0, Workers())
    pay.see(np.full(100, first))
    pay.settle()
    np.testing.assert_allclose(pay(np.array([first - 0.05])), [(first - 0.05) / least], rtol=1e-12)
