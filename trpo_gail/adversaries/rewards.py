"""Reward forms: functions of a discriminator's logit x = log D - log(1 - D), so D = sigmoid(x).

What a form does to the length of episodes, whatever D has learned: a step that is paid more than nothing makes a longer
life better, and a step that costs something makes an early end better. So -log(1-D) biases towards living, log(D)
towards ending; forms of either sign do the one while D is low and the other while it is high.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from trpo_gail.config.tree import Config
from trpo_gail.experts.facts import Ends

ALIVE, SUCCESS, LOGIT = "-log(1-D)", "log(D)", "logit"
FAR = 20.0  # largest logit that `fairl` exponentiates: exp(20) is 5e8


@dataclass(frozen=True)
class Form:
    """A reward form and its sign. A reward that is never negative favours staying alive; one that is never positive
    favours ending the episode; 0 is either."""

    of_logit: Callable[[Tensor], Tensor]
    sign: float


def _as_it_is(x: Tensor) -> Tensor:
    return x


def fairl(x: Tensor) -> Tensor:
    """-x exp(x), whose optimum minimises the forward KL divergence (Ghasemipour et al. 2020, table 1)."""
    return -x * torch.exp(x.clamp(max=FAR))


def amp(x: Tensor) -> Tensor:
    """1 - (1 - D)^2: with least squares, whose output is 2 D - 1, that of Peng et al. (2021, eq. 7)."""
    return 1.0 - torch.sigmoid(-x) ** 2


FORMS = {
    ALIVE: Form(softplus, 1.0),
    SUCCESS: Form(logsigmoid, -1.0),
    LOGIT: Form(_as_it_is, 0.0),  # the sum of the two above (Fu et al. 2018, AIRL)
    "fairl": Form(fairl, 0.0),
    "amp": Form(amp, 1.0),
}


def absorbs(config: Config, ends: Ends | None, limit: int | None) -> bool:
    """Whether an episode that has ended goes on in an absorbing state, by the config or, if that leaves it open, by how the
    demonstrations end. `limit` is the environment's time limit, without which there is no such state.

    Why: what ends on success can often end on failure, too. log(D) teaches to end, and -log(1-D) to live on; with absorbing
    states D learns what an end is worth (results/adversaries has the tasks on which all three were tried).
    """
    d = config.discriminator
    if d.absorbing is not None:
        return d.absorbing
    return config.adversary == "gail" and d.reward == "auto" and limit is not None and _end_early(ends)


def _end_early(ends: Ends | None) -> bool:
    return ends is not None and ends.terminal > ends.limit + ends.unsaid


def chosen(config: Config, ends: Ends | None, limit: int | None) -> str:
    """The form that the config names, or what `auto` becomes, by how the demonstrations end; `limit` as for `absorbs`."""
    d = config.discriminator
    if d.reward != "auto":
        return d.reward
    of_either_sign = d.loss == "wasserstein" or absorbs(config, ends, limit)
    if config.adversary == "airl" or (config.adversary == "gail" and of_either_sign):
        return LOGIT
    return SUCCESS if _end_early(ends) else ALIVE


def sign(form: str) -> float:
    """The sign of the rewards that are not functions of a logit: 1 for forms of either sign."""
    return FORMS[form].sign or 1.0


def why(config: Config, ends: Ends | None, limit: int | None) -> str | None:
    """What `auto` became and for which reason, as a line for a person; None if the config names a form itself."""
    if config.discriminator.reward != "auto":
        return None
    form = chosen(config, ends, limit)
    if ends is not None and config.discriminator.absorbing is None and absorbs(config, ends, limit):
        early = f"{ends.terminal} of {ends.total} demonstrations end {ends.early}"
        return f"reward {form} with absorbing states (auto: {early}), which favours neither ending nor living on"
    if form == LOGIT:
        return f"reward {form}, of either sign (auto)"
    if ends is None:
        return f"reward {form} (auto: the demonstrations do not say how episodes end)"
    favours = "never positive: it favours ending" if form == SUCCESS else "never negative: it favours living on"
    absorbs_if_limited = form == SUCCESS and limit is None and absorbs(config, ends, 1)
    since = ", since the environment has no time limit" if absorbs_if_limited else ""
    return f"reward {form} (auto: {ends.terminal} of {ends.total} demonstrations end {ends.early}{since}), {favours}"
