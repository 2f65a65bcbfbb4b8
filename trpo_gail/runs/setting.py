"""What a run found out before it began."""

from __future__ import annotations

from dataclasses import dataclass

from trpo_gail.envs import vector
from trpo_gail.spaces.spec import ActionView


@dataclass(frozen=True)
class Setting:
    """What `auto` became, and where things are: recorded once, reused on resume."""

    backend: vector.Backend
    actions: ActionView
    reason: str  # for the choice of actions
    expert: str | None
    expert_sha256: str | None
    init_policy: str | None = None  # checkpoint of the other run's policy that this one began with
    init_policy_sha256: str | None = None  # of that file
    reward_file: str | None = None  # of --adversary exported
    env_lacks: str | None = None  # why the config's id does not make the environment, which was given from Python
