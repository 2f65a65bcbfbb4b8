"""What is checked before a run has a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.load import load
from trpo_gail.parallel import Workers
from trpo_gail.runs.preparing import same_everywhere

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
