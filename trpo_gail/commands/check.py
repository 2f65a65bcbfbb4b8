"""`trpo-gail check`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from trpo_gail.commands.parsing import by_rank_0, parse
from trpo_gail.config.marks import Count, JsonObject, Positional, Short
from trpo_gail.config.tree import PartsConfig
from trpo_gail.system.terminal import kept_for_json

if TYPE_CHECKING:
    from trpo_gail.envs.checking import Finding
    from trpo_gail.parallel import Workers


@dataclass(frozen=True)
class _CheckArguments:
    env: Annotated[str, Positional("ENV")]
    """Environment id, module:Id, or module:name of a class or function that makes one."""
    env_kwargs: Annotated[str, JsonObject()] = "{}"
    """Arguments of the environment, as a JSON object."""
    backend: Literal["auto", "envpool", "gymnasium"] = "auto"
    """Library that runs the environments; auto takes EnvPool if it offers the id."""
    max_episode_steps: Count | None = None
    """Time limit that replaces the environment's own; None keeps the environment's."""
    policy: Annotated[PartsConfig, Short("images", "numbers")] = field(default_factory=PartsConfig)
    json: bool = False
    """Print one JSON object per finding."""


FLAGS = {"check": _CheckArguments}


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Print one line per finding; returns 2 if one of them is an error."""
    given = parse(_CheckArguments, arguments, "check")
    return by_rank_0(workers, lambda: _print(given)) or 0


def _print(given: _CheckArguments) -> int:
    from trpo_gail.envs.checking import check

    code, kwargs = 0, json.loads(given.env_kwargs)
    more = {"max_episode_steps": given.max_episode_steps, "scale": True, **vars(given.policy)}
    for found in _apart(check(given.env, given.backend, kwargs, **more), given.json):
        if given.json:
            print(json.dumps(vars(found)), flush=True)
        else:
            print(f"{found.level:<8} {found.subject:<12} {found.text}", flush=True)
        code = 2 if found.level == "error" else code
    return code


def _apart(findings: Iterator[Finding], as_json: bool) -> Iterator[Finding]:
    """Each finding, made while what the environment prints does not reach stdout."""
    while True:
        with kept_for_json(as_json):
            found = next(findings, None)
        if found is None:
            return
        yield found
