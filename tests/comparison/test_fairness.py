"""Equal terms: updates of the discriminator by hand, and what is refused."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from trpo_gail.commands.train import parse_flags
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.studies.comparison.fairness import (
    Entry,
    check_flags,
    check_lengths,
    contestants,
    counted,
    differing,
    flag_names,
    spread,
    unequal,
    updates_per_step,
)
from trpo_gail.studies.comparison.plan import Contestant, Plan, Task, check_names, difference

BASE = Config("CartPole-v0")  # 16 updates per 2048 steps


def entry(*flags: str, name: str = "a") -> Entry:
    return Entry(name, flags, parse_flags(["CartPole-v0", *flags]).config)


def made(*flags: str, base: Config = BASE) -> Contestant:
    [found] = contestants(base, [entry(*flags)])
    return found


@pytest.mark.parametrize(
    ("flags", "d_step"),
    [
        ((), 16),
        (("--timesteps_per_batch", "1024"), 8),
        (("--timesteps_per_batch", "1024", "--g_step", "3"), 24),
        (("--preset", "stable-baselines"), 24),
        (("--timesteps_per_batch", "128"), 1),
        (("--timesteps_per_batch", "4096", "--d_step", "32"), 32),
        (("--timesteps_per_batch", "1000", "--num_envs", "512"), 8),  # two rounds of 512
    ],
)
def test_as_many_updates_per_step(flags: tuple[str, ...], d_step: int) -> None:
    found = made(*flags)
    assert found.config["d_step"] == d_step and not any("updates" in note for note in found.notes)
    assert d_step / found.iteration_steps == 16 / 2048


def test_a_rate_that_does_not_divide_is_rounded_and_said() -> None:
    found = made("--timesteps_per_batch", "2000")  # 15.625
    assert found.config["d_step"] == 16
    assert found.notes == (
        "Its discriminator updates per step are +2.4% from the common number: 15.62 per iteration were rounded to 16.",
    )


def test_a_rate_of_its_own_is_said() -> None:
    assert made("--d_step", "8").notes == (
        "Its discriminator updates per step are -50.0% from the common number: by its own --d_step 8.",
    )


def test_airl_has_as_many_updates() -> None:
    found = made("--adversary", "airl", "--timesteps_per_batch", "1024")
    assert found.config["d_step"] == 8 and not any("update" in note or "fitted" in note for note in found.notes)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--timesteps_per_batch", "64"), "1 discriminator updates per 64 steps are +100% from the common 16 per 2048"),
        (("--iterations", "501"), "--iterations 501 would end it early; --iterations None expected"),
        (
            ("--preset", "paper", "--iterations", "None", "--sampling", "steps"),
            "--policy.hidden_sizes is 100 100 by its preset, 64 64 for all",
        ),
        (("--actions", "raw"), "--actions raw given, auto as for all expected"),
        (("--env_kwargs", '{"a": 1}'), "--env_kwargs"),
        (("--sampling", "episodes"), "--sampling episodes given, steps as for all expected"),
        # Two rounds of 100 environments, so 1.56 updates by the common rate, not 1.
        (("--timesteps_per_batch", "128", "--num_envs", "100"), "2 discriminator updates per 200 steps are +28%"),
    ],
)
def test_unequal_terms_are_refused(flags: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError) as error:
        made(*flags)
    assert "--contestant a: " in str(error.value) and says in str(error.value)


def test_a_network_that_differs_by_its_flag_is_said() -> None:
    assert made("--hidden_size_adversary", "32").notes == (
        "--discriminator.hidden_size_adversary is 32; by the flags of all, 100.",
    )
    assert made("--critic.time_input").notes == ("--critic.time_input is True; by the flags of all, False.",)
    assert made("--policy.observation_clip", "None").notes == (
        "--policy.observation_clip is None; by the flags of all, 10.0.",
    )
    assert made("--policy.hidden_sizes", "32", "32").notes[0].startswith("--policy.hidden_sizes is 32 32")
    wide = dataclasses.replace(BASE, policy=dataclasses.replace(BASE.policy, hidden_sizes=(32, 32)))
    assert made("--policy.hidden_sizes", "32", "32", base=wide).notes == ()


def test_the_common_flags_decide_the_number_of_updates() -> None:
    assert made("--timesteps_per_batch", "512", base=dataclasses.replace(BASE, d_step=4)).config["d_step"] == 1


def test_whole_episodes_of_another_batch_cannot_be_foreseen_and_are_said() -> None:
    whole = dataclasses.replace(BASE, sampling="episodes")
    assert made("--sampling", "episodes", base=whole).notes == ()
    [note] = made("--sampling", "episodes", "--timesteps_per_batch", "4096", base=whole).notes
    assert "more than 4096 steps" in note


def test_updates_are_counted_and_unequal_ones_told_of() -> None:
    """16 updates an epoch: of 2048 steps 7.8125 per 1000; of 2000 8, which is 2.4 % more; of 1024 15.625."""
    named = tuple(
        contestants(BASE, [entry(), entry("--adversary", "airl", name="b"), entry("--adversary", "constant", name="c")])
    )
    plan = Plan(named, (), (0,), (), 1, 1, 1)

    def run(contestant: str, env: str, steps: int) -> Any:
        return SimpleNamespace(contestant=contestant, env=env, iterations=10, steps=10 * steps, d_updates=None)

    equal = [run("a", "x", 2048), run("b", "x", 2000), run("c", "x", 3)]
    assert counted(plan, equal) == {"x": {"a": 16 / 2048, "b": 16 / 2000}}
    assert spread({"a": 16 / 2048, "b": 16 / 2000}) == pytest.approx(0.024)
    assert unequal(plan, equal) == []
    assert unequal(plan, [*equal, run("a", "y", 2048), run("b", "y", 1024)]) == [
        "y: unequal discriminator updates per 1000 steps, 7.812 of a, 15.62 of b."
    ]


def test_updates_of_one_that_may_rest_are_known_if_they_were_counted() -> None:
    named = tuple(contestants(BASE, [entry(), entry("--discriminator.rest_above", "0.9", name="b")]))
    plan, run = Plan(named, (), (0,), (), 1, 1, 1), {"env": "x", "iterations": 10, "steps": 20_480}
    always: Any = SimpleNamespace(contestant="a", d_updates=None, **run)
    for updates, rate in ((None, None), (0.0, 0.0), (32.0, 32 / 20_480)):
        rests: Any = SimpleNamespace(contestant="b", d_updates=updates, **run)
        assert updates_per_step(plan, rests) == rate
        assert len(unequal(plan, [always, rests])) == (updates is not None)


@pytest.mark.parametrize(
    ("names", "envs"),
    [(["a", "A"], ["X-v0"]), (["b-a", "a"], ["Foo", "Foo-b"]), (["a", "b"], ["mine:X-v0", "mine_X-v0"])],
)
def test_names_that_would_share_a_file_are_refused(names: list[str], envs: list[str]) -> None:
    with pytest.raises(UserError, match="would have the same files: other names of contestants expected"):
        check_names(names, envs)


def test_an_adversary_in_closed_form_is_left_as_it_is() -> None:
    found = made("--adversary", "fem", "--timesteps_per_batch", "64")
    assert found.notes == ("--adversary fem is fitted once per iteration of 64 steps.",)
    assert made("--adversary", "constant").notes == ("--adversary constant is fitted to nothing.",)


def test_settings_that_differ() -> None:
    two = contestants(BASE, [entry("--max_kl", "0.02"), entry("--generator", "ppo", name="b")])
    found = differing(two)
    assert found["trpo.max_kl"] == [0.02, None] and found["generator"] == ["trpo", "ppo"]
    assert found["ppo.clip_range"] == [None, 0.1] and "gamma" not in found
    assert not {"seed", "steps", "expert", "eval_every"} & {name for c in two for name in c.config}


def test_flags_that_are_no_contestants() -> None:
    assert flag_names(["--a.b", "3", "-x", "--c=4", "--d-e"]) == {"a.b", "c", "d_e"}
    for flag in ("--steps", "--expert=x", "--seed", "--eval-every"):
        with pytest.raises(UserError, match="is the same for all, and no flag of a contestant"):
            check_flags("--contestant a", [flag, "1"])
    check_flags("--contestant a", ["--num_envs", "4"])


def test_lengths_and_ranks() -> None:
    def task(steps: int, eval_every: int) -> Task:
        return Task("x", "f.h5", "", 1.0, None, 1, steps, eval_every)

    check_lengths([made()], [task(2048, 2048)], 16)
    with pytest.raises(UserError, match="--steps: 2000 given for x, but one iteration of a has 2048"):
        check_lengths([made()], [task(2000, 2000)], 1)
    with pytest.raises(UserError, match="--eval_every: 2000 given for x, but one iteration of a has 2048"):
        check_lengths([made()], [task(9000, 2000)], 1)
    with pytest.raises(UserError, match="--ranks: 17 given, but a has 16 environments"):
        check_lengths([made()], [task(2048, 2048)], 17)


@pytest.mark.parametrize(
    ("names", "envs", "says"),
    [
        ([], ["x"], "0 given, at least 1 expected"),
        (["a", "a"], ["x"], "--contestant: 'a' given twice"),
        (["a", "b"], ["x", "x"], "--env: 'x' given twice"),
        (["a", "b/c"], ["x"], "'b/c' is no name"),
        (["a", ""], ["x"], "'' is no name"),
    ],
)
def test_names(names: list[str], envs: list[str], says: str) -> None:
    with pytest.raises(UserError) as error:
        check_names(names, envs)
    assert says in str(error.value)


def test_the_difference_of_two_plans_in_words() -> None:
    there = {"seeds": [0, 1], "contestants": [{"name": "a", "config": {"x": 1}}, {"name": "b", "config": {}}]}
    assert difference(there, there) is None
    assert difference(there, there | {"seeds": [0]}) == "seeds: 0 1 there, 0 here"
    assert difference(there, there | {"contestants": there["contestants"][:1]}) == "contestants: a, b there, a here"
    other = [{"name": "a", "config": {"x": 2}}, there["contestants"][1]]
    assert difference(there, there | {"contestants": other}) == "contestants[0].config.x: 1 there, 2 here"
    assert difference({"expert": "a.h5", "n": 1}, {"expert": "b.h5", "n": 1}) is None
    assert difference({"notes": ["a"], "n": 1}, {"notes": [], "n": 1}) is None
    assert difference({}, {"n": 1}) == "n: None there, 1 here"
