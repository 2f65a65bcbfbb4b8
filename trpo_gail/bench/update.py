"""Milliseconds of the parts of an update against those of their matrix products alone, by rows of a batch and width."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from statistics import median
from typing import Any, cast

import numpy as np
import torch

from trpo_gail.adversaries.discriminator import Discriminator
from trpo_gail.bench import counted, products
from trpo_gail.bench.jobs import Found, machine, on_one_core, tell
from trpo_gail.bench.products import Operands, Pass, clocked, runner, sizes_of
from trpo_gail.bench.toys import Toy, toy
from trpo_gail.config.tree import Config, CriticConfig, DiscriminatorConfig
from trpo_gail.errors import UserError, shortened
from trpo_gail.generators.trpo import TRPO
from trpo_gail.networks.mlp import MLP
from trpo_gail.policies.fisher import fisher_product

LEAST_S = 0.02  # of a measurement: short calls are repeated
STEP, GRADIENT, SET_UP, FISHER = "TRPO update", "policy gradient", "Fisher set-up", "Fisher product"
SEARCH = "line search"  # and what else is left of a TRPO update


@dataclass(frozen=True)
class Part:
    """A part of an update; what it returns does not matter. `updates`: of this many, its time is divided by them."""

    call: Callable[[], Any]
    passes: Sequence[Pass]
    updates: int = 1
    before: Callable[[], Any] = lambda: None  # not counted


def update(
    config: Config, batches: Sequence[int], widths: Sequence[int], sizes: tuple[int, int], repeats: int
) -> Found:
    """Measure in this process, on one core, on random rows with `sizes` numbers in an observation and an action; prints
    nothing. Raises UserError."""
    _check(config, batches, widths, sizes, repeats)
    torch.set_num_threads(1)
    rows = []
    with on_one_core():
        for width in widths:
            for batch in batches:
                tell(f"{width} units, {batch} rows")
                made = _toy(of_width(config, width, batch), width, sizes)
                rows += [{"width": width, "rows": made.rows.total, **row} for row in _measured(made, repeats)]
    about = {"preset": config.preset, "observations": sizes[0], "actions": sizes[1], "repeats": repeats, **machine()}
    return {"bench": "update", **about, "parts": rows}


def _toy(config: Config, width: int, sizes: tuple[int, int]) -> Toy:
    """Raises UserError for what does not fit into memory."""
    try:
        return toy(config, *sizes)
    except (MemoryError, RuntimeError, ValueError, OverflowError) as error:
        given = f"{config.timesteps_per_batch}, {width}, {sizes[0]} and {sizes[1]} given"
        raise UserError(
            f"--batches, --widths, --observations, --actions: {given}: {shortened(str(error), 100)}"
        ) from None


def _check(config: Config, batches: Sequence[int], widths: Sequence[int], sizes: tuple[int, int], repeats: int) -> None:
    """Raise UserError for a number that cannot be meant, and for networks whose products are not known."""
    for flag, values in (
        ("batches", batches), ("widths", widths), ("repeats", [repeats]), ("observations", sizes[:1]),
        ("actions", sizes[1:]),
    ):  # fmt: skip
        if not values or min(values) < 1:
            raise UserError(f"--{flag}: {' '.join(map(str, values)) or 'nothing'} given, at least 1 expected")
        if len(set(values)) < len(values):
            raise UserError(f"--{flag}: {' '.join(map(str, values))} given, different numbers expected")
    if (config.generator, config.adversary) != ("trpo", "gail"):
        raise UserError(
            f"--flags: {config.generator} and {config.adversary} given, the parts of trpo and gail are timed"
        )
    if uncounted := _uncounted(config):
        raise UserError(f"--flags: {uncounted} given, whose work is not counted here: expected without")
    if min(batches) < config.num_envs:
        raise UserError(
            f"--batches: {min(batches)} given, at least {config.num_envs} expected, a row of each of --num_envs"
        )


def _uncounted(config: Config) -> str | None:
    """What makes an update do other work than is counted below."""
    d, simple = config.discriminator, DiscriminatorConfig()
    changed = [
        name
        for name in ("d_batch_size", "expert_batch_size", "rest_above", "dropout", "spectral_norm")
        if getattr(d, name) != getattr(simple, name)
    ]
    if changed:
        return f"--discriminator.{changed[0]}"
    return None if config.dtype == "float32" else f"--dtype {config.dtype}"


def of_width(config: Config, width: int, rows: int) -> Config:
    """The same with two hidden layers of a width in each network."""
    two = (width, width)
    return dataclasses.replace(
        config,
        device="cpu",
        expert="random rows",
        trajectories=None,
        timesteps_per_batch=rows,
        policy=dataclasses.replace(config.policy, hidden_sizes=two),
        critic=dataclasses.replace(config.critic, hidden_sizes=two),
        discriminator=dataclasses.replace(config.discriminator, hidden_sizes=None, hidden_size_adversary=width),
    )


def _measured(made: Toy, repeats: int) -> list[Found]:
    """A row per part. Parts and their products take turns."""
    named, operands = parts(made), Operands()
    floors = {
        name: [runner(part.passes, operands, float64_sums=double) for double in (False, True)]
        for name, part in named.items()
    }
    for name, part in named.items():  # caches and lazy imports, of both
        part.before()
        part.call()
        for floor in floors[name]:
            floor()
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in named}
    for _ in range(repeats):
        for name, part in named.items():
            own = clocked(part.call, LEAST_S, part.before)
            single, double = (clocked(floor, LEAST_S) for floor in floors[name])
            times[name].append((own / part.updates, single / part.updates, double / part.updates))
    rows = {name: _row(name, named[name], taken) for name, taken in times.items()}
    return [*rows.values(), _line_search(made, operands, times)]


def _row(name: str, part: Part, times: Sequence[tuple[float, float, float]]) -> Found:
    return {
        "part": name,
        "ms": median(own for own, _, _ in times),
        "all_ms": [own for own, _, _ in times],
        "products_ms": median(single for _, single, _ in times),
        "products_float64_sums_ms": median(double for _, _, double in times),
        "ratio": median(own / single for own, single, _ in times),
        "ratio_float64_sums": median(own / double for own, _, double in times),
        "operations": products.operations(part.passes) // part.updates,
    }


def _line_search(made: Toy, operands: Operands, times: dict[str, list[tuple[float, float, float]]]) -> Found:
    """What is left of a TRPO update besides gradient and Fisher products: by the difference of times of one turn."""
    taken = _products_taken(made)
    turns = zip(times[STEP], times[GRADIENT], times[SET_UP], times[FISHER], strict=True)
    left = [step[0] - gradient[0] - set_up[0] - taken * fisher[0] for step, gradient, set_up, fisher in turns]
    once = [products.forward(_sizes(made.learner.policy.net), made.rows.total)]
    floor = runner(once, operands, float64_sums=False)
    floor()
    single = median(clocked(floor, LEAST_S) for _ in left)
    return _row(SEARCH, Part(lambda: None, once), [(own, single, single) for own in left])


def _products_taken(made: Toy) -> int:
    """Fisher-vector products of one step, after which the policy is as before. Raises UserError if no step is made."""
    trpo = made.learner.generator
    assert isinstance(trpo, TRPO)
    start = trpo.flat.vector.clone()
    _, taken = counted.step(trpo, made.batch)
    trpo.flat.vector.copy_(start)
    if not taken:
        raise UserError("--flags: with these, TRPO makes no step on random rows, so its parts cannot be timed")
    return taken


# ---- the parts -------------------------------------------------------------------------------------------------------


def parts(made: Toy) -> dict[str, Part]:
    """By name."""
    critic = "critic pass" if made.config.critic.fit == "adam" else "critic step"
    return _of_policy(made) | {critic: _of_critic(made), "discriminator update": _of_discriminator(made)}


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _sizes(net: Any) -> list[int]:
    if not isinstance(net, MLP):
        raise UserError(
            "--flags: another network than a multi-layer perceptron given, whose matrix products are not known"
        )
    return sizes_of(net)


def _of_policy(made: Toy) -> dict[str, Part]:
    trpo, policy, cfg, count = made.learner.generator, made.learner.policy, made.config.trpo, made.rows.total
    assert isinstance(trpo, TRPO)
    sizes, vector = _sizes(policy.net), trpo.flat.vector
    some = max(1, count // cfg.fvp_subsample) if cfg.fvp_draw else count  # rows that are drawn are one fewer at times
    with torch.no_grad():
        z = policy.normaliser(made.batch.observations)[:: cfg.fvp_subsample][:some]
    start, product, v = vector.clone(), fisher_product(policy, trpo.flat, z), torch.randn_like(vector)
    gradient = products.forward(sizes, count) + products.backward(sizes, count)
    set_up, fisher = products.forward(sizes, len(z)), products.fisher(sizes, len(z))
    step = [gradient, set_up, *[fisher] * _products_taken(made), products.forward(sizes, count)]
    return {
        GRADIENT: Part(lambda: trpo.rest(made.batch), [gradient]),
        SET_UP: Part(lambda: fisher_product(policy, trpo.flat, z), [set_up]),
        FISHER: Part(lambda: product(v), [fisher]),
        STEP: Part(lambda: trpo.step(made.batch, _rng()), step, before=lambda: vector.copy_(start)),
    }


def _of_critic(made: Toy) -> Part:
    """A pass of Adam over the batch, with its share of what a fit does once; or the whole natural-gradient step. Each fit
    begins with the same critic."""
    critic, cfg, count = made.learner.critic, made.config.critic, made.rows.total
    sizes, start = _sizes(critic.network.net), deepcopy(critic.state_dict())
    judged = products.forward(sizes, count)  # the variance that it explains, before the fit
    if cfg.fit == "natural-gradient":
        passes, updates = [judged, *_natural(cfg, sizes, count)], 1
    else:
        minibatches = _parts(count, max(1, round(count / cfg.vf_batch_size)))
        once = [products.forward(sizes, rows) + products.backward(sizes, rows) for rows in minibatches]
        old = [] if cfg.clip_range_vf is None else [judged]  # values that changes are limited by
        passes, updates = [judged, *old, *cfg.vf_iters * once], cfg.vf_iters
    return Part(
        lambda: critic.fit(made.batch, _rng()), passes, updates, before=lambda: critic.load_state_dict(deepcopy(start))
    )


def _natural(cfg: CriticConfig, sizes: Sequence[int], count: int) -> list[Pass]:
    step, some = cfg.natural_gradient, max(1, count // cfg.natural_gradient.fvp_subsample)
    gradient = products.forward(sizes, count) + products.backward(sizes, count)
    curvature = [products.forward(sizes, some), *[products.fisher(sizes, some)] * step.cg_iters]
    return [gradient, *curvature, products.forward(sizes, count)]


def _of_discriminator(made: Toy) -> Part:
    """An update, with its share of what a fit does once. Each fit begins with the same discriminator."""
    adversary = cast("Discriminator", made.learner.adversary)
    sizes, taken, cfg = _sizes(adversary.network.net), made.config.d_step, adversary.config
    start = deepcopy(adversary.state_dict())
    found: list[Pass] = []
    for rows in _parts(made.rows.total, taken):  # of the learner, and as many of the expert
        seen = 3 * rows if cfg.mixup else 2 * rows
        found.append(products.forward(sizes, seen) + products.backward(sizes, seen))
        if cfg.gradient_penalty:
            found.append(products.penalty(sizes, 2 * rows if cfg.gradient_penalty_at == "both" else rows))
    return Part(
        lambda: adversary.fit(made.seen, _rng()), found, taken,
        before=lambda: adversary.load_state_dict(deepcopy(start)),
    )  # fmt: skip


def _parts(count: int, number: int) -> list[int]:
    """Sizes of so many parts of some rows."""
    edges = np.linspace(0, count, number + 1).astype(int)
    return [int(size) for size in np.diff(edges) if size]
