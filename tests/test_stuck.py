"""A run that learns nothing any more says so: after 20 iterations in a row, then each time that they have doubled."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from trpo_gail.config.presets import preset
from trpo_gail.config.tree import Config, DiscriminatorConfig, PPOConfig, TRPOConfig, TrustRegionConfig
from trpo_gail.parallel import Workers
from trpo_gail.runs import training
from trpo_gail.runs.stuck import Stuck

TRPO = {"step_accepted": 0.0, "backtracks": 10.0, "gradient_norm": 0.3, "reward_mean": 0.7, "reward_std": 0.1}
PPO = {"updates": 0.0, "gradient_norm": 0.0, "reward_mean": 0.7, "reward_std": 0.1}
RESULTS = Path(__file__).parents[1] / "results"


def warnings(config: Config, *rows: dict[str, Any]) -> dict[int, str]:
    """What is said after which row, counted from 1."""
    stuck = Stuck(config)
    return {n: text for n, row in enumerate(rows, 1) for text in stuck.look(row)}


def test_warnings_come_ever_more_rarely() -> None:
    said = warnings(Config("any"), *[TRPO] * 200)
    assert list(said) == [20, 40, 80, 160]
    assert said[40].startswith("in the last 40 iterations no step of the policy was accepted")


def test_a_policy_that_rests_on_purpose_is_not_stuck() -> None:
    assert warnings(Config("any"), *[TRPO | {"warmup": 1}] * 50) == {}
    assert list(warnings(Config("any"), *[TRPO | {"warmup": 1}] * 50, *[TRPO | {"warmup": 0}] * 20)) == [70]


def test_one_accepted_step_begins_the_count_anew() -> None:
    accepted = TRPO | {"step_accepted": 0.5}  # one of two generator steps
    assert list(warnings(Config("any"), *[TRPO] * 19, accepted, *[TRPO] * 20)) == [40]


REASONS = {
    "refused": (Config("any"), TRPO, "all 10 lengths were refused; another --trpo.max_kl, a larger --timesteps_per_batch"),
    "shrunk": (
        Config("any", trpo=TRPOConfig(line_search_failure="shrink")),
        TRPO,
        "all 10 lengths were refused, and a shorter one kept untested;",
    ),
    "no gradient": (
        Config("any"),
        TRPO | {"backtracks": 0.0, "gradient_norm": 0.0},
        "the policy made no step, for its gradient (norm 0) gave no direction: every transition is paid alike",
    ),
    "ppo at rest": (Config("any", generator="ppo"), PPO, "the policy made no update, for --ppo.target_kl 0.02"),
    "ppo without gradient": (
        Config("any", generator="ppo", ppo=PPOConfig(target_kl=None)),
        PPO | {"updates": 40.0},
        "the policy's gradient was 0: every transition is paid alike",
    ),
    "critic": (
        preset("paper", "any"),
        TRPO | {"step_accepted": 1.0, "vf_backtracks": 10.0, "vf_gradient_norm": 1.0},
        "no step of the critic was accepted: all 10 lengths were refused, and a shorter one kept untested; "
        "another --critic.natural_gradient.max_kl",
    ),
    "nothing paid": (
        Config("any"),
        TRPO | {"step_accepted": 1.0, "reward_mean": 0.0, "reward_std": 0.0},
        "the discriminator paid exactly 0 for every step, so the policy learns nothing",
    ),
    "nothing paid but by the task": (
        Config("any", task_weight=0.5),
        TRPO | {"step_accepted": 1.0, "reward_mean": 0.0, "reward_std": 0.0},
        "so the policy learns from the environment's reward alone",
    ),
    "the same paid": (
        Config("any", discriminator=DiscriminatorConfig(reward="log(D)", reward_clip=0.1)),
        TRPO | {"step_accepted": 1.0, "reward_mean": -0.1, "reward_std": 1e-17},
        "paid exactly -0.1 for every step, so the policy learns at most how long to live: it is too sure; a smaller "
        "--discriminator.d_stepsize or --d_step, or a larger --discriminator.reward_clip",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REASONS)
def test_the_reason_is_told_with_a_flag(case: str) -> None:
    config, row, expected = REASONS[case]
    (text,) = warnings(config, *[row] * 20).values()
    assert expected in text and "\n" not in text


FINE = {
    "steps": (Config("any"), TRPO | {"step_accepted": 1.0}),
    "updates": (Config("any", generator="ppo"), PPO | {"updates": 1.0, "gradient_norm": 1e-9}),
    "critic by adam": (Config("any"), TRPO | {"step_accepted": 1.0}),
    "a critic with nothing to fit": (
        preset("paper", "any"),
        TRPO | {"step_accepted": 1.0, "vf_backtracks": 0.0, "vf_gradient_norm": 0.0},
    ),
    "an environment that pays nothing yet": (
        Config("any", adversary="env_reward"),
        TRPO | {"step_accepted": 1.0, "reward_mean": 0.0, "reward_std": 0.0},
    ),
    "rewards of both signs": (Config("any"), TRPO | {"step_accepted": 1.0, "reward_mean": 0.0}),
}  # fmt: skip


@pytest.mark.parametrize("case", FINE)
def test_a_run_that_moves_is_left_in_peace(case: str) -> None:
    config, row = FINE[case]
    assert not warnings(config, *[row] * 100)


def test_no_recorded_run_would_have_warned() -> None:
    """The bundled tasks, as they were trained."""
    seen = 0
    for path in RESULTS.glob("*/**/metrics.csv"):
        lines = [line.split(",") for line in path.read_text().splitlines()]
        rows = [{k: float(v) for k, v in zip(lines[0], line, strict=True) if v} for line in lines[1:]]
        generator = "trpo" if "step_accepted" in rows[0] else "ppo"
        assert not warnings(Config("any", generator=generator), *rows), path
        seen += len(rows)
    assert seen > 1000


def test_a_run_warns_while_it_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --quiet too: a trust region so small that float32 sees no improvement within it."""
    step = dataclasses.asdict(TrustRegionConfig(max_kl=1e-30, line_search_steps=2))
    config = Config(
        "toys:Walk-v0", adversary="constant", steps=10_000, iterations=21, num_envs=2, timesteps_per_batch=16,
        trpo=TRPOConfig(**step), eval_every=0, final_episodes=1,
    )  # fmt: skip
    training.run(config, str(tmp_path / "run"), False, True, Workers())
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "no step of the policy was accepted: all 2 lengths were refused" in line] == said
    assert len(said) == 1 and said[0].startswith("warning: in the last 20 iterations")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["iterations"] == 21
