"""The sections of a run's page that show its metrics: a panel for each quantity, against steps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from trpo_gail.records import LOGIT_EDGES, logit_below
from trpo_gail.reports import plots, run_charts
from trpo_gail.reports.page import Figure, Section
from trpo_gail.reports.plots import Panel
from trpo_gail.reports.run_data import RunData

NOT_RECORDED = "None of these runs recorded this."
THIN = "Thin lines are single iterations, thick ones running means over a fortieth of the run."
HIDDEN = ", which the learner never sees"
# By --discriminator.loss: what the loss is, and its value if D cannot tell the sides apart.
LOSSES = {
    "cross-entropy": (
        "mean cross-entropy on the learner's pairs plus that on the expert's, nats; 2 ln 2 if D cannot tell them apart",
        2 * math.log(2),
    ),
    "least-squares": (
        "mean squared distance of D's output from -1 on the learner's pairs plus that from 1 on the expert's; 2 if D "
        "cannot tell them apart",
        2.0,
    ),
    "wasserstein": (
        "mean output of D on the learner's pairs less that on the expert's; 0 if D cannot tell them apart, else below 0",
        0.0,
    ),
}


def _metrics(
    title: str, name: str, text: str, runs: Sequence[RunData], panels: Sequence[Panel], columns: int = 2
) -> Section:
    """A section of one picture, of those panels that there is something to show in."""
    shown = plots.has(runs, panels)
    if not shown:
        return Section(title, NOT_RECORDED)
    titles = ", ".join(panel.title for panel in shown)
    alt, chart = f"{titles} against steps", run_charts.metrics(runs, shown, columns)
    picture = Figure.drawn(name, lambda: plots.metrics(runs, shown, columns), alt, THIN, chart)
    return Section(title, text, [picture])


def episodic(runs: Sequence[RunData]) -> Section:
    """Returns and lengths of training episodes, and what they were paid."""
    hidden = not any(_sees_reward(run) for run in runs)
    text = (
        f"Episodes that finished in an iteration, under the environment's own reward{HIDDEN if hidden else ''}. The rank "
        "correlation (Spearman's) compares what these episodes were paid with that return: near 1, the adversary ranks "
        "episodes as the environment does; near 0 or below, rising rewards say nothing of rising returns. If the expert is "
        "nearly matched, 0 is no bad sign, since then episodes hardly differ."
    )

    def zero(run: RunData) -> float:
        return 0.0

    panels = [
        Panel("mean return of an episode", "return_mean"),
        Panel("its standard deviation", "return_std", bottom=0.0),
        Panel("mean length, steps", "length_mean", bottom=0.0),
        Panel("reward paid per step", "reward_mean"),
        Panel("its standard deviation over steps", "reward_std", bottom=0.0),
        Panel("rank correlation of paid and true return", "reward_rank_correlation", zero, "unrelated", -1.04, 1.04),
    ]
    section = _metrics("Episodic returns", "episodic_returns", text, runs, panels)
    places = [place for place, run in enumerate(runs) if run.training_episodes().size]
    if not places:
        return section
    caption = (
        "A dot for every episode of training, those of a batch spread over its steps. The running mean is over "
        f"{plots.LEAST_EPISODES} episodes, or a {plots.WINDOW}th of the run's if that is more."
    )
    picture = Figure.drawn(
        "training_episodes",
        lambda: plots.training_episodes(runs, places),
        "returns of single episodes against steps",
        caption,
        run_charts.training_episodes(runs, places),
    )
    return dataclasses.replace(section, parts=[picture, *section.parts])


def _sees_reward(run: RunData) -> bool:
    """Whether the environment's reward pays a run's policy."""
    return run.config.get("adversary") == "env_reward" or any(map(run.config.get, ("task_weight", "task_weight_end")))


def discriminator(runs: Sequence[RunData]) -> Section:
    """How well D tells the two sides apart."""
    kinds = dict.fromkeys(_loss(run) for run in runs if len(run.column("d_loss")[1])) or {"cross-entropy": None}
    told = [f"{'Loss' if len(kinds) == 1 else f'Loss, {kind}'}: {LOSSES[kind][0]}." for kind in kinds]
    text = (
        f"{' '.join(told)} Accuracy: the share of each side's pairs that D takes for what they are. A good run: D is right "
        "about nearly all pairs at first; then the policy catches up, accuracies fall towards 0.5 to 0.8, entropy rises "
        "towards ln 2 = 0.69, and both sides' logits draw together. With a gradient penalty, which is the default, "
        "accuracies may stay above 0.9 in a good run: look at the rank correlation and the returns. A bad one: without a "
        "penalty, both accuracies stay near 1 and entropy near 0 to the end (D is too far ahead: fewer updates, smaller "
        "steps or a penalty slow it), or both accuracies are at 0.5 while returns are low (D sees too little to tell them "
        "apart, or is too slow)."
    )

    def chance(run: RunData) -> float:
        return LOSSES[_loss(run)][1]

    def half(run: RunData) -> float:
        return 0.5

    def most(run: RunData) -> float:
        return math.log(2)

    loss = Panel("discriminator loss, nats", "d_loss", chance, "2 ln 2", bottom=0.0)
    if [*kinds] != ["cross-entropy"]:
        loss = Panel("discriminator loss", "d_loss", chance, "chance", bottom=None if "wasserstein" in kinds else 0.0)
    panels = [
        loss,
        Panel("entropy of its decisions, nats", "d_entropy", most, "ln 2", bottom=0.0),
        Panel("accuracy on the learner's pairs", "d_accuracy_learner", half, "chance", 0.0, 1.04),
        Panel("accuracy on the expert's pairs", "d_accuracy_expert", half, "chance", 0.0, 1.04),
        Panel("mean logit, learner's pairs", "d_logit_learner"),
        Panel("mean logit, expert's pairs", "d_logit_expert"),
        Panel("norm of its gradient", "d_gradient_norm", bottom=0.0),
        Panel("gradient penalty", "d_gradient_penalty", bottom=0.0),
        Panel("updates taken", "d_updates", bottom=0.0),
        Panel("distance of mean features", "feature_distance", bottom=0.0),
    ]
    section = _metrics("Discriminator", "discriminator", text, runs, panels)
    sides = {
        f"{side}'s logits": [(float(edge), logit_below(side, edge)) for edge in LOGIT_EDGES]
        for side in ("learner", "expert")
    }
    if not plots.with_logits(runs, sides):
        return section
    caption = (
        "Share of the pairs by their logit log D - log(1-D), as training goes on: blue where D is sure of the expert, red "
        "where it is sure of the learner."
    )
    picture = Figure.drawn("logits", lambda: plots.logits(runs, sides), "spread of logits against steps", caption)
    return dataclasses.replace(section, parts=[*section.parts, picture])


def _loss(run: RunData) -> str:
    """The kind of a run's loss; an old run knows no other than the cross-entropy."""
    kind = str(run.config.get("discriminator.loss"))
    return kind if kind in LOSSES else "cross-entropy"


def policy(runs: Sequence[RunData]) -> Section:
    """What the generator's steps gain, and how well the critic predicts."""
    text = (
        "What a step promises: the surrogate's rise at the step that was taken, in units of the standardised advantage. "
        "Explained variance: the share of the targets' variance that the critic predicts, before its fit."
    )
    panels = [
        Panel("rise of the surrogate", "improvement"),
        Panel("entropy of the policy, nats", "entropy"),
        Panel("norm of the gradient", "gradient_norm", bottom=0.0),
        Panel("explained variance of the critic", "explained_variance"),
    ]
    return _metrics("Policy learning", "policy", text, runs, panels)


def trust_region(runs: Sequence[RunData]) -> Section:
    """How far the policy moves, and which steps are taken."""
    text = (
        "The KL divergence from the policy that sampled to the one after the step; for TRPO, 0 if the line search refused "
        "all step lengths."
    )

    def max_kl(run: RunData) -> float | None:
        return run.config.get("trpo.max_kl") if run.generator == "trpo" else None

    panels = [
        Panel("mean KL(old || new), nats", "kl", max_kl, "max_kl", bottom=0.0),
        Panel("share of accepted steps", "step_accepted", bottom=0.0, top=1.04),
        Panel("backtracks of the line search", "backtracks", bottom=0.0),
        Panel("residual of conjugate gradients", "cg_residual", bottom=0.0),
        Panel("share of rows outside PPO's clip", "clip_fraction", bottom=0.0),
        Panel("PPO's updates per step", "updates", bottom=0.0),
    ]
    return _metrics("KL and step acceptance", "trust_region", text, runs, panels)


def cloning(runs: Sequence[RunData]) -> list[Section]:
    """Only where a run has cloned."""
    panels = [
        Panel("negative log-likelihood, training pairs, nats", "train_nll"),
        Panel("negative log-likelihood, validation pairs, nats", "validation_nll"),
    ]
    if not plots.has(runs, panels):
        return []
    return [_metrics("Behavioural cloning", "cloning", "", runs, panels)]
