"""A run in which nothing is learned any more says so while it runs."""

from __future__ import annotations

from collections.abc import Iterator

from trpo_gail.config.tree import Config, TrustRegionConfig
from trpo_gail.records import AnyRecord

FIRST = 20  # iterations in a row, after which there is a warning; then after twice as many, each time
ROUNDING = 1e-12  # of a mean, as the standard deviation of numbers that are all the same
NO_GRADIENT = "every transition is paid alike, a batch holds too few of them, or the policy has no spread left"


class Stuck:
    """Looks at each iteration's row. It counts from the session's start."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._counts = dict.fromkeys(("policy", "critic", "adversary"), 0)  # iterations in a row

    def look(self, row: AnyRecord) -> Iterator[str]:
        """What to warn of after an iteration. In the warm-up the policy takes no step on purpose."""
        signs = {"policy": self._policy(row), "critic": self._critic(row), "adversary": self._adversary(row)}
        for name, sign in signs.items():
            count = self._counts[name] = self._counts[name] + 1 if sign else 0
            if count % FIRST == 0 and (count // FIRST).bit_count() == 1:
                yield f"in the last {count} iterations {sign}"

    def _policy(self, row: AnyRecord) -> str | None:
        """No step, though each iteration after the warm-up should make one."""
        if row.get("warmup"):
            return None
        if self.config.generator == "trpo":
            return _refused("policy", "trpo", self.config.trpo, row, "") if row["step_accepted"] == 0 else None
        if self.config.generator != "ppo":
            return None
        if row["updates"] == 0:
            return f"the policy made no update, for --ppo.target_kl {self.config.ppo.target_kl} was passed at once"
        return f"the policy's gradient was 0: {NO_GRADIENT}" if row["gradient_norm"] == 0 else None

    def _critic(self, row: AnyRecord) -> str | None:
        """Every length of its natural-gradient step refused; without a gradient there is nothing to fit."""
        step = self.config.critic.natural_gradient
        if self.config.critic.fit != "natural-gradient" or row["vf_backtracks"] != step.line_search_steps:
            return None
        return _refused("critic", "critic.natural_gradient", step, row, "vf_")

    def _adversary(self, row: AnyRecord) -> str | None:
        """Every reward is the same. The mean alone of others may be 0, if they are of both signs or standardised."""
        mean, spread = row["reward_mean"], row.get("reward_std")
        if mean is None or spread is None or spread > ROUNDING * abs(mean):
            return None
        if self.config.adversary != "gail" or self.config.causal_entcoeff:
            return None
        if self.config.task_weight or self.config.task_weight_end:
            learned = "from the environment's reward alone"
        else:
            learned = "at most how long to live" if mean else "nothing"
        clip = self.config.discriminator.reward_clip
        larger = ", or a larger" + (" --discriminator.reward_clip or" if mean and clip is not None else "")
        return (
            f"the discriminator paid exactly {mean:.3g} for every step, so the policy learns {learned}: it is too sure; "
            f"a smaller --discriminator.d_stepsize or --d_step{larger} --discriminator.adversary_entcoeff may help"
        )


def _refused(owner: str, path: str, step: TrustRegionConfig, row: AnyRecord, prefix: str) -> str:
    """Why no step was accepted, by the last iteration's row."""
    if row[f"{prefix}backtracks"] != step.line_search_steps:
        norm = row[f"{prefix}gradient_norm"]
        return f"the {owner} made no step, for its gradient (norm {norm:.3g}) gave no direction: {NO_GRADIENT}"
    kept = ", and a shorter one kept untested" if step.line_search_failure == "shrink" else ""
    return (
        f"no step of the {owner} was accepted: all {step.line_search_steps} lengths were refused{kept}; "
        f"another --{path}.max_kl, a larger --timesteps_per_batch or --dtype float64 may help"
    )
