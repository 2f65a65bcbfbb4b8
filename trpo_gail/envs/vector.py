"""Vector environments with one small protocol: EnvPool's if it offers the id, gymnasium's otherwise.

Gymnasium's environments run one after the other; our own task, `point_nav`, steps all of them at once.

An environment is reset in the step *after* an episode's end (gymnasium's NEXT_STEP): the row that follows an end
ignores its action and returns the first observation of the next episode with reward 0. It is not a transition, and code
that uses rows masks it (`Rollout.valid`). The step *at* the end returns the episode's true last observation.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from trpo_gail.envs import envpool
from trpo_gail.envs.failures import called
from trpo_gail.envs.one_by_one import BOUND, LIMIT, OneByOne, Vectorised
from trpo_gail.envs.sources import Source
from trpo_gail.envs.tasks import point_nav
from trpo_gail.errors import RunError, UserError, absent
from trpo_gail.spaces import actions, layout
from trpo_gail.spaces.layout import Layout
from trpo_gail.spaces.spec import ActionView, EnvSpec
from trpo_gail.spaces.units import ActionScaling
from trpo_gail.system import torch_settings

Backend = Literal["auto", "envpool", "gymnasium"]


class VectorEnv(Protocol):
    """N environments that step together.

    If they can say whether an episode was a success, they also have `successes`, of the last step: [N] float64, 1 or 0
    for each environment whose episode ended in that step, NaN if it is not known; or None if it is known of no
    environment.
    """

    spec: EnvSpec
    num_envs: int

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        """Begin new streams, one seed per environment, each at the start of an episode: observations [N, O]."""
        ...

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Step all: observations [N, O], rewards [N] float64, terminated [N] bool, truncated [N] bool."""
        ...

    def cut(self, which: np.ndarray) -> None:
        """Let the next step reset these environments, [N] bool, as if their episodes had ended."""
        ...

    def rest(self, which: np.ndarray) -> None:
        """Rows of these environments, [N] bool, will not be used until the next restart: `step` may leave them out and
        return zeros."""
        ...

    def viewed(self, action_view: ActionView) -> VectorEnv:
        """The same environments with another view of actions: `raw`, or `executed`, which clips to a Box's bounds."""
        ...

    def close(self) -> None: ...


def make(
    env_id: str,
    num_envs: int,
    backend: Backend = "auto",
    kwargs: Mapping[str, Any] | None = None,
    threads: int = 1,
    *,
    action_view: ActionView = "raw",
    scale: bool = False,
    max_episode_steps: int | None = None,
    images: Sequence[str] = (),
    numbers: Sequence[str] = (),
    source: Source | None = None,
    first: int = 0,
) -> VectorEnv:
    """Make `num_envs` environments; they must be restarted before the first step.

    `auto` takes EnvPool if it is installed and offers the id. `threads` is EnvPool's; gymnasium's run in turn.
    `executed` actions are clipped to a Box's bounds before they are executed, `raw` ones are not; with `scale`, a Box's
    bounded dimensions are [-1, 1] to the caller. `max_episode_steps` replaces the environment's own time limit.
    `images` names parts of the observation that are images although they are not uint8, `numbers` parts that are none
    although they are. `source` makes the environments, in place of the id, from the `first` on of those of all ranks, which
    may differ. Raises UserError for an unknown id, wrong arguments, or spaces that cannot be rows. A later failure of an
    environment is a RunError.
    """
    kwargs = dict(kwargs or {})
    if source is not None and kwargs:
        raise UserError(f"env_kwargs: {kwargs} given, but the environment is given as an object")
    if max_episode_steps is not None and kwargs.get(LIMIT, max_episode_steps) != max_episode_steps:
        raise UserError(f"--{LIMIT}: {max_episode_steps} given, but --env_kwargs has {kwargs[LIMIT]}")
    limit = kwargs.get(LIMIT, max_episode_steps)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 1):
        raise UserError(f"environment {env_id!r}: {LIMIT}: expected a whole number of at least 1, found {limit!r}")
    resolved = resolve_backend(env_id, backend if source is None else "gymnasium")
    with warnings.catch_warnings(), torch_settings.kept():
        warnings.simplefilter("ignore")  # v4 ids are the faithful ones: gymnasium's advice to leave them is no news
        if source is not None:
            made = source.make(num_envs, max_episode_steps, first)
        else:
            made = _backend(env_id, num_envs, resolved, kwargs, threads, max_episode_steps)
    if hasattr(made, "viewed"):  # a whole VectorEnv, which knows its spec
        whole: VectorEnv = made.viewed(action_view)
        return whole
    actions.check(made.action_space, f"environment {env_id!r}")
    own = made.action_space
    rows = actions.flat_box(own) if isinstance(own, Box) else own
    scaling = ActionScaling.of(rows) if scale else None
    spec = EnvSpec(
        env_id,
        resolved,
        kwargs,
        made.observation_space,
        scaling.policy if scaling else rows,
        made.max_episode_steps,
        scaling,
        action_view,
        None if rows is own else own,
        tuple(images),
        tuple(numbers),
    )
    _check_named(spec)
    return _Environments(made, spec)


def spec_of(env_id: str, *arguments: Any, **keywords: Any) -> EnvSpec:
    """The spec of an environment, as `make` takes it, which is closed again. Raises UserError."""
    made = make(env_id, 1, *arguments, **keywords)
    made.close()
    return made.spec


def _check_named(spec: EnvSpec) -> None:
    """Raise UserError if a part that is named to be an image, or none, cannot be."""
    if both := set(spec.images) & set(spec.numbers):
        raise UserError(f"--policy.numbers: {min(both)!r} is named by --policy.images, too")
    pictures = {part.name for part in spec.observations.parts if part.kind == "image"}
    would_be = {part.name for part in Layout.of(spec.observation_space).parts if part.kind == "image"}
    for flag, unknown, said in (
        ("images", set(spec.images) - pictures, "of two to four dimensions"),
        ("numbers", set(spec.numbers) - would_be, "that would be an image"),
    ):
        if unknown:
            parts = ", ".join(part.name or "the observation itself" for part in spec.observations.parts)
            raise UserError(f"--policy.{flag}: {min(unknown)!r} is no part {said}; parts are {parts}")


def make_together(env_id: str, most: int, *arguments: Any, **keywords: Any) -> VectorEnv:
    """As `make`: `most` environments, or only one if several cannot run in one process (one port, one licence)."""
    try:
        return make(env_id, most, *arguments, **keywords)
    except UserError:
        if most == 1:
            raise
        return make(env_id, 1, *arguments, **keywords)


def resolve_backend(env_id: str, backend: Backend) -> Literal["envpool", "gymnasium"]:
    """The backend that `auto` becomes for this id on this machine."""
    if backend == "gymnasium" or (backend == "auto" and ":" in env_id):
        return "gymnasium"
    offered = envpool.offered()
    if backend == "auto":
        return "envpool" if env_id in offered and envpool.stands_for(env_id) else "gymnasium"
    if not offered:
        raise UserError(f"--backend envpool: {absent('envpool')}")
    if env_id not in offered:
        raise UserError(f"--backend envpool: EnvPool does not offer the environment {env_id!r}")
    return "envpool"


def _backend(
    env_id: str, num_envs: int, backend: str, kwargs: Mapping[str, Any], threads: int, max_episode_steps: int | None
) -> Any:
    """The environments themselves; their `max_episode_steps` is None if an episode has no limit."""
    limit = {} if max_episode_steps is None else {LIMIT: max_episode_steps}
    if backend == "envpool":
        return envpool.EnvPool(env_id, num_envs, {**kwargs, **limit}, threads)
    # Gymnasium's own vectorised CartPole shares one generator between the environments; ours does not.
    if env_id in (point_nav.DISCRETE, point_nav.CONTINUOUS):
        return point_nav_vector(env_id, num_envs, {**kwargs, **limit})
    return OneByOne(env_id, num_envs, kwargs, max_episode_steps)


def point_nav_vector(env_id: str, num_envs: int, kwargs: Mapping[str, Any]) -> Vectorised:
    """Our own task, all environments at once."""
    try:
        envs = gymnasium.make_vec(env_id, num_envs, "vector_entry_point", **kwargs)
    except (TypeError, ValueError) as error:
        raise UserError(f"environment {env_id!r} with {kwargs}: {error}") from error
    return Vectorised(envs, kwargs.get(LIMIT, point_nav.LIMIT))


class _Environments:
    """A backend's environments; the policy's actions are clipped and converted to their units."""

    def __init__(self, backend: Any, spec: EnvSpec) -> None:
        self._backend, self.spec, self.num_envs = backend, spec, backend.num_envs
        self._name, self._scaling, self._outward = (
            f"environment {spec.id!r}",
            spec.action_scaling,
            spec.executed.outward,
        )
        self._open = True

    def restart(self, seeds: Sequence[int]) -> np.ndarray:
        return called(self._name, "reset", self._backend.restart, seeds)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        actions = self.spec.shown(actions)
        if self._scaling:
            actions = self._scaling.executed(actions)
        actions = self._outward(actions)
        observation, reward, terminated, truncated = called(self._name, "step", self._backend.step, actions)
        # If an environment sets both flags, the end is terminal: there is no value to bootstrap from.
        return observation, reward, terminated, truncated & ~terminated

    @property
    def successes(self) -> np.ndarray | None:
        return getattr(self._backend, "successes", None)

    @property
    def wrappers(self) -> tuple[str, ...]:
        """Names of the classes that gymnasium's environments are wrapped in."""
        return getattr(self._backend, "wrappers", ())

    def cut(self, which: np.ndarray) -> None:
        self._backend.cut(which)

    def rest(self, which: np.ndarray) -> None:
        self._backend.rest(which)

    def viewed(self, action_view: ActionView) -> VectorEnv:
        return _Environments(self._backend, self.spec.viewed(action_view))

    def close(self) -> None:
        if self._open:
            self._open = False
            self._backend.close()


def cautions(spec: EnvSpec) -> list[str]:
    """What to warn of before an environment is used: parts that nobody sees, and episodes that only our bound ends."""
    found = []
    if texts := layout.left_out(spec.observation_space):
        found.append(f"{spec.id}: {', '.join(texts)} of the observation is a text, which is left out")
    if spec.backend != "envpool" and spec.max_episode_steps is None:
        found.append(f"{spec.id} has no time limit: episodes are cut after {BOUND:,} steps (--{LIMIT})")
    return found


@torch_settings.kept()
def try_out(env: VectorEnv, early_reset: bool, by_name: bool = True) -> None:
    """One step from a reset, so that an environment that breaks the interface is reported before anything else happens.

    With `early_reset`, also reset in the middle of an episode, as sampling by steps does. The episodes remain
    unfinished. `by_name`: whether the id makes it for the command line, too. Raises UserError.
    """
    spec = env.spec
    try:
        env.restart(range(env.num_envs))
        _, _, terminated, truncated = env.step(spec.actions.zeros(env.num_envs))
    except RunError as error:
        given = f" (with {dict(spec.kwargs)})" if spec.kwargs else ""
        further = f"; `trpo-gail check {spec.id}` looks further" if by_name else ""
        raise UserError(f"{error}{given}{further}") from error
    if early_reset and not (terminated | truncated).any():
        try:
            env.restart(range(env.num_envs))
        except RunError as error:
            raise UserError(
                f"{error}: it refuses a reset before its episode is over; --sampling episodes never resets early"
            ) from error
