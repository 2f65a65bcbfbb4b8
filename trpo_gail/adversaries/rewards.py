"""Reward forms: functions of a discriminator's logit x = log D - log(1 - D)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid, softplus


@dataclass(frozen=True)
class Form:
    """A reward form and its sign. A reward that is never negative favours staying alive; one that is never positive
    favours ending the episode."""

    of_logit: Callable[[Tensor], Tensor]
    sign: float


FORMS = {
    "-log(1-D)": Form(softplus, 1.0),
    "log(D)": Form(logsigmoid, -1.0),
}
