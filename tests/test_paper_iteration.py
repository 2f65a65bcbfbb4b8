"""Two iterations of `--preset paper` against a second implementation: numpy, autograd and a plain conjugate gradient.

It follows Ho & Ermon's published order and formulas and takes from the package only what is chance: the sampled episodes
and the rows that are drawn. All in float64; Adam's epsilon is torch's (docs/fidelity.md).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from trpo_gail.algorithm import iteration
from trpo_gail.build import make_learner
from trpo_gail.commands.train import parse_flags
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.runs.preparing import prepare
from trpo_gail.sampling.rollout import Rollout
from trpo_gail.seeding import MINIBATCH, stream

EXPERTS = Path(__file__).parents[1] / "expert_data" / "paper"
GAMMA, LAM, MAX_KL, DAMPING = 0.995, 0.97, 0.01, 0.1
Weights = list[Tensor]


class Standardiser:
    """Running mean and deviation of all that it was ever given."""

    def __init__(self) -> None:
        self.count, self.mean, self.meansq = 0.0, np.zeros(1), np.ones(1)

    def add(self, mean: np.ndarray, meansq: np.ndarray, count: int) -> None:
        old = self.count / (self.count + count)
        self.mean = old * self.mean + (1 - old) * mean
        self.meansq = old * self.meansq + (1 - old) * meansq
        self.count += count

    def take(self, x: np.ndarray) -> None:
        self.add(x.mean(0), (x**2).mean(0), len(x))

    @property
    def scale(self) -> np.ndarray:
        return np.sqrt(np.maximum(self.meansq - self.mean**2, 0)) + 1e-6

    def __call__(self, x: np.ndarray) -> Tensor:
        return torch.from_numpy((x - self.mean) / self.scale)


def mlp(w: Weights, x: Tensor) -> Tensor:
    for k in (0, 2):
        x = torch.tanh(x @ w[k].T + w[k + 1])
    return x @ w[4].T + w[5]


def weights(module: torch.nn.Module) -> Weights:
    return [p.detach().clone() for p in module.parameters()]


def backward_sum(x: np.ndarray, ends: np.ndarray, discount: float) -> np.ndarray:
    """sum_k discount^k x[t + k] until the episode's end."""
    total, out = 0.0, np.zeros_like(x)
    for t in reversed(range(len(x))):
        total = x[t] + (0.0 if ends[t] else discount * total)
        out[t] = total
    return out


def natural_step(
    w: Weights,
    gain: Callable[[Weights], Tensor],
    divergence: Callable[[Weights], Tensor],
    on_rows: Callable[[Weights], Tensor],
) -> Weights:
    """Ascend `gain` along the natural gradient of `on_rows`, by a backtracking line search under `divergence`."""
    sizes = [p.numel() for p in w]

    def tree(x: Tensor) -> Weights:
        return [part.view_as(p) for part, p in zip(x.split(sizes), w, strict=True)]

    x0 = torch.cat([p.reshape(-1) for p in w])
    x = x0.clone().requires_grad_()
    before = gain(tree(x))
    (g,) = torch.autograd.grad(before, x)
    (slope,) = torch.autograd.grad(on_rows(tree(x)), x, create_graph=True)

    def fisher(v: Tensor) -> Tensor:
        return torch.autograd.grad(slope @ v, x, retain_graph=True)[0] + DAMPING * v

    s, r, p = torch.zeros_like(g), g.clone(), g.clone()
    for _ in range(10):
        if r.norm() <= 1e-5 * g.norm():
            break
        fp = fisher(p)
        along = (r @ r) / (p @ fp)
        s, rest = s + along * p, r - along * fp
        r, p = rest, rest + (rest @ rest) / (r @ r) * p
    step = s / torch.sqrt(0.5 * (s @ fisher(s)) / MAX_KL)
    part, tries = 1.0, 0
    with torch.no_grad():
        while tries < 10:
            there = tree(x0 + part * step)
            if divergence(there) <= 2 * MAX_KL and gain(there) - before >= 0.1 * part * (g @ step):
                break
            part, tries = part / 2, tries + 1
    return [p.detach() for p in tree(x0 + part * step)]


class Reference:
    """The learner a second time, from the same first weights."""

    def __init__(self, learner: Learner, expert: Any, discrete: bool, favour_zero: bool, limit: int) -> None:
        self.discrete, self.favour_zero, self.limit = discrete, favour_zero, limit
        self.policy = weights(learner.policy)
        self.value = weights(learner.critic.network.net)
        self.d = weights(learner.adversary.network.net)  # type: ignore[attr-defined]
        self.moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.d]
        self.expert_x = expert.observations.astype(float)
        self.expert_a = expert.actions if discrete else expert.actions.astype(float)
        self.of_policy, self.of_value, self.of_target, self.of_d = (Standardiser() for _ in range(4))
        for standardiser in (self.of_policy, self.of_value):
            standardiser.take(self.expert_x)
        self.of_d.take(self.features(self.expert_x, self.expert_a))

    def features(self, x: np.ndarray, a: np.ndarray) -> np.ndarray:
        return x if self.discrete else np.hstack([x, a])

    def scores(self, d: Weights, x: np.ndarray, a: np.ndarray) -> Tensor:
        out = mlp(d, self.of_d(self.features(x, a)))
        return out.gather(1, torch.from_numpy(a)[:, None])[:, 0] if self.discrete else out[:, 0]

    def rewards(self, x: np.ndarray, a: np.ndarray) -> np.ndarray:
        s = self.scores(self.d, x, a)
        return (logsigmoid(s) if self.favour_zero else softplus(s)).numpy()

    def values(self, x: np.ndarray, t: np.ndarray) -> np.ndarray:
        out = mlp(self.value, self.value_input(x, t))[:, 0].numpy()
        return out * self.of_target.scale + self.of_target.mean if self.of_target.count else out

    def value_input(self, x: np.ndarray, t: np.ndarray) -> Tensor:
        return torch.cat([self.of_value(x), torch.from_numpy(t / self.limit)[:, None]], 1)

    def log_prob(self, w: Weights, z: Tensor, a: np.ndarray) -> Tensor:
        if self.discrete:
            return torch.log_softmax(mlp(w, z), -1).gather(1, torch.from_numpy(a)[:, None])[:, 0]
        return torch.distributions.Normal(mlp(w[1:], z), w[0].exp()).log_prob(torch.from_numpy(a)).sum(1)

    def mean_kl(self, old: Weights, new: Weights, z: Tensor) -> Tensor:
        if self.discrete:
            p, q = (torch.distributions.Categorical(logits=mlp(w, z)) for w in (old, new))
        else:
            p, q = (torch.distributions.Normal(mlp(w[1:], z), w[0].exp()) for w in (old, new))  # type: ignore[assignment]
        return torch.distributions.kl_divergence(p, q).reshape(len(z), -1).sum(1).mean()

    def step(self, rollout: Rollout, rng: np.random.Generator) -> None:
        """One iteration: policy on the old reward, then discriminator, then value function on the new reward."""
        x, a, t, ends = episodes(rollout)
        seen_x, seen_a = x.astype(np.float32).astype(float), a if self.discrete else a.astype(np.float32).astype(float)
        r, v = self.rewards(seen_x, seen_a), self.values(x, t)
        successor = np.append(v[1:], 0.0) * ~ends
        advantages = backward_sum(r + GAMMA * successor - v, ends, GAMMA * LAM)
        self.improve(
            x, a, (advantages - advantages.mean()) / (advantages.std() + 1e-8), rng.integers(0, len(x), len(x) // 10)
        )
        self.discriminate(seen_x, seen_a, rng.integers(0, len(self.expert_x), len(x)), rng.permutation(len(x)))
        targets = backward_sum(self.rewards(seen_x, seen_a), ends, GAMMA)
        self.fit_values(x, t, targets, rng.integers(0, len(x), len(x) // 10))

    def improve(self, x: np.ndarray, a: np.ndarray, advantages: np.ndarray, rows: np.ndarray) -> None:
        z, old, weight = self.of_policy(x), self.policy, torch.from_numpy(advantages)
        before = self.log_prob(old, z, a)
        self.policy = natural_step(
            old,
            lambda w: ((self.log_prob(w, z, a) - before).exp() * weight).mean(),
            lambda w: self.mean_kl(old, w, z),
            lambda w: self.mean_kl(old, w, z[rows]),
        )
        self.of_policy.take(x)

    def discriminate(self, x: np.ndarray, a: np.ndarray, drawn: np.ndarray, order: np.ndarray) -> None:
        mine, theirs = self.features(x, a), self.features(self.expert_x, self.expert_a)
        mean, meansq = (sum(f(s) for s in (mine, theirs)) / 2 for f in (lambda s: s.mean(0), lambda s: (s**2).mean(0)))
        self.of_d.add(mean, meansq, 2 * len(x))
        d = [p.requires_grad_() for p in self.d]
        s = torch.cat([self.scores(d, x[order], a[order]), self.scores(d, self.expert_x[drawn], self.expert_a[drawn])])
        labels = torch.arange(2 * len(x)) >= len(x)
        loss = torch.where(labels, softplus(-s), softplus(s)) - 1e-3 * (softplus(-s) + (1 - s.sigmoid()) * s)
        gradients = torch.autograd.grad(loss.sum() / len(x), d)
        self.adam_steps = getattr(self, "adam_steps", 0) + 1
        rate = 0.01 / (1 - 0.9**self.adam_steps)
        for k, g in enumerate(gradients):
            m, v = self.moments[k]
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            self.moments[k] = m, v
            d[k] = (d[k] - rate * m / ((v / (1 - 0.999**self.adam_steps)).sqrt() + 1e-8)).detach()
        self.d = d

    def fit_values(self, x: np.ndarray, t: np.ndarray, targets: np.ndarray, rows: np.ndarray) -> None:
        self.of_value.take(x)
        self.of_target.take(targets)
        z, y = self.value_input(x, t), self.of_target(targets)
        old = mlp(self.value, z)[:, 0]

        def moved(w: Weights, rows: Any = slice(None)) -> Tensor:
            return ((mlp(w, z[rows])[:, 0] - old[rows]) ** 2).mean()

        self.value = natural_step(
            self.value, lambda w: -((mlp(w, z)[:, 0] - y) ** 2).mean(), moved, lambda w: moved(w, rows)
        )


def episodes(rollout: Rollout) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Observations, actions, times and ends of the transitions, one environment after the other."""
    columns = (rollout.observations[:-1], rollout.actions, rollout.steps, rollout.done)
    valid = rollout.valid.T
    return tuple(np.swapaxes(c, 0, 1)[valid] for c in columns)


@pytest.mark.parametrize(
    ("env_id", "demonstrations", "reward"),
    [
        ("Paper/CartPole-v0", "CartPole-v0.h5", "-log(1-D)"),
        ("Paper/MountainCar-v0", "MountainCar-v0.h5", "log(D)"),
        ("Paper/Hopper-v1", "Hopper-v1.h5", "-log(1-D)"),
    ],
)
def test_the_second_implementation_has_the_same_weights(env_id: str, demonstrations: str, reward: str) -> None:
    if "Hopper" in env_id:
        pytest.importorskip("mujoco", reason="MuJoCo is not installed")
    config = parse_flags([
        env_id, "--preset", "paper", "--expert", str(EXPERTS / demonstrations), "--trajectories", "2", "--subsample", "5",
        "--discriminator.reward", reward, "--timesteps_per_batch", "300", "--num_envs", "3", "--dtype", "float64",
    ]).config  # fmt: skip
    workers = Workers()
    _, expert, env = prepare(config, None, workers)
    assert expert is not None and env.spec.max_episode_steps is not None
    learner = make_learner(config, env, expert.transitions(), workers)
    reference = Reference(learner, expert, env.spec.actions.whole, reward == "log(D)", env.spec.max_episode_steps)
    seen: list[Rollout] = []
    collect = learner.sampler.collect
    learner.sampler.collect = lambda actor: (seen.append((out := collect(actor))[0]), out)[1]  # type: ignore[method-assign]
    first = weights(learner.policy)
    for number in range(2):
        iteration(learner, config, workers)
        reference.step(seen[-1], stream(config.seed, MINIBATCH, number))
    for name, mine, theirs in [
        ("policy", weights(learner.policy), reference.policy),
        ("discriminator", weights(learner.adversary.network.net), reference.d),  # type: ignore[attr-defined]
        ("value", weights(learner.critic.network.net), reference.value),
    ]:
        for a, b in zip(mine, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")  # type: ignore[misc]
    assert max(float((a - b).abs().max()) for a, b in zip(first, reference.policy, strict=True)) > 1e-3
    env.close()
