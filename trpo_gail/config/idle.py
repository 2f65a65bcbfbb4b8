"""Which fields decide nothing, given the others: no flag is idle in silence.

A choice that leaves a field idle is named by a row of `NEEDS`, or by what the rows of the tables of choices read. What cannot
be known from the flags alone is not here: policy.init_log_std, actions and action_scaling do nothing where actions are
discrete, which the environment says. The limits on inputs hold for inputs that are not standardised, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trpo_gail.config import choices
from trpo_gail.config.leaves import build, leaves
from trpo_gail.errors import UserError

Flat = Mapping[str, Any]  # a Config's values by path


@dataclass(frozen=True)
class Needs:
    """Fields that decide something only if another one does, and has one of some values."""

    fields: tuple[str, ...]  # or sections, which end in a dot
    any_of: Mapping[str, tuple[Any, ...] | Callable[[Any], bool]]  # by deciding field, its values

    def unmet(self, flat: Flat) -> str | None:
        """What the deciding fields are, if none of them is as it should be."""
        found = [_unmet(flat, decider, values) for decider, values in self.any_of.items()]
        return None if None in found else " and ".join(map(str, found))


def _unmet(flat: Flat, decider: str, values: tuple[Any, ...] | Callable[[Any], bool]) -> str | None:
    met = values(flat[decider]) if callable(values) else flat[decider] in values
    return reason(flat, decider) if met else f"--{decider} is {flat[decider]}"


def _fields(section: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for name in names)


def _positive(value: float) -> bool:
    return value > 0


def _not_zero(value: float | None) -> bool:
    return value != 0


def _given(value: float | None) -> bool:
    return value is not None


def _several(value: int) -> bool:
    return value > 1


ADAM = _fields("critic", "vf_iters", "vf_stepsize", "vf_batch_size", "clip_range_vf")
STANDARDISED = ("observations-actions", "observations")
CROSS_ENTROPY = _fields("discriminator", "adversary_entcoeff", "label_smoothing", "positive_prior", "mixup")
NEEDS = (
    Needs(("restart_every",), {"sampling": ("steps",)}),  # whole episodes have a random stream each
    Needs(("eval_episodes",), {"eval_every": _positive}),
    Needs(
        ("normalise_from_expert",),
        {
            "policy.normalise_observations": (True,),
            "critic.normalise_observations": (True,),
            "discriminator.normalise": STANDARDISED,
        },
    ),
    Needs(("discriminator.normalise_decay",), {"discriminator.normalise": STANDARDISED}),
    Needs(CROSS_ENTROPY, {"discriminator.loss": ("cross-entropy",)}),
    Needs(
        _fields("discriminator", "gradient_penalty_target", "gradient_penalty_sides", "gradient_penalty_at"),
        {"discriminator.gradient_penalty": _not_zero},
    ),
    Needs(  # the penalty's default weight is 0 if there are no pairs to mix
        _fields("discriminator", "gradient_penalty_target", "gradient_penalty_sides"),
        {
            "discriminator.gradient_penalty": _given,
            "discriminator.expert_batch_size": (None,),
            "discriminator.gradient_penalty_at": ("expert", "both"),
        },
    ),
    Needs(_fields("discriminator", "replay_share"), {"discriminator.replay_iterations": _positive}),
    Needs(_fields("discriminator", "hidden_size_adversary"), {"discriminator.hidden_sizes": (None,)}),
    Needs(_fields("policy", "hidden_sizes", "output_scale"), {"policy.network": (None,)}),
    Needs(("critic.hidden_sizes",), {"critic.network": (None,)}),
    Needs(
        _fields("discriminator", "hidden_sizes", "hidden_size_adversary", "activation", "dropout"),
        {"discriminator.network": (None,)},
    ),
    Needs(("airl.hidden_sizes",), {"airl.shaping": (True,)}),
    Needs(("airl.entropy_weight",), {"discriminator.reward": ("auto", "logit")}),  # the other forms are of D
    Needs(("cloning.",), {"init_policy": ("bc",)}),
    Needs(_fields("policy", "init_log_std", "output_scale"), {"init_policy": (None, "bc")}),
    Needs(("critic.natural_gradient.",), {"critic.fit": ("natural-gradient",)}),
    Needs(ADAM, {"critic.fit": ("adam",)}),
    Needs(ADAM[1:], {"critic.vf_iters": _positive}),
    Needs(_fields("ppo", "clip_range", "dual_clip"), {"ppo.objective": ("clip",)}),
    Needs(_fields("ppo", "kl_coeff", "kl_target"), {"ppo.objective": ("kl-penalty",)}),
    Needs(("ppo.recompute_advantages",), {"ppo.n_epochs": _several}),
    *(
        Needs(
            (f"{region}.line_search_shrink",),
            {f"{region}.line_search_steps": _several, f"{region}.line_search_failure": ("shrink",)},
        )
        for region in ("trpo", "critic.natural_gradient")
    ),
)


def reason(flat: Flat, path: str) -> str | None:
    """Why a field decides nothing, as an error says it: "--critic.fit is adam". None if it does decide something."""
    return next(_reasons(flat, path), None)


def _reasons(flat: Flat, path: str) -> Iterator[str]:
    for table in (choices.GENERATORS, choices.ADVERSARIES):
        if choices.covers(choices.owned(table), path) and not choices.reads(table, flat[table.flag], path):
            yield f"--{table.flag} is {flat[table.flag]}"
    for row in NEEDS:
        if choices.covers(row.fields, path) and (unmet := row.unmet(flat)):
            yield unmet
    # Without a file an adversary that imitates is refused as such.
    if path in ("trajectories", "subsample") and flat["expert"] is None and not _imitates(flat):
        yield "there is no --expert"


def _imitates(flat: Flat) -> bool:
    return choices.find(choices.ADVERSARIES, flat["adversary"]).imitates


def check(cls: type, flat: Flat) -> None:
    """Raise UserError for a field of a tree that decides nothing and is not at its default."""
    for path, leaf in leaves(cls).items():
        if flat[path] != leaf.default and (why := reason(flat, path)):
            raise UserError(f"--{path}: {flat[path]} given, but {why}")


def settled(cls: type, flat: Flat, given: Collection[str] = ()) -> Any:
    """The tree of these values. Where a preset or an older version has set what decides nothing, the default stands in for
    it. Raises UserError if the value is one of the `given`, or out of its range."""
    defaults = {path: leaf.default for path, leaf in leaves(cls).items()}
    others = [path for path in flat if path not in given and flat[path] != defaults[path]]
    return build(cls, {**flat, **{path: defaults[path] for path in others if reason(flat, path)}})
