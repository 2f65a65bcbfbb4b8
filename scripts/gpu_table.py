#!/usr/bin/env python3
"""Time the parts of an update on one CPU core, on all cores and on a CUDA device; then whole trainings.

    python scripts/gpu_table.py --out DIR [--quick] [--device cuda]

Writes gpu.json and gpu.md into DIR, again after each cell, so that a run that is cut short leaves what it has. Each time
is the median of several calls, in milliseconds; one call before them is not counted. Data have Hopper's shapes: 11
observations, 3 actions. The second table counts what one call asks of the device: kernels, copies, and waits for it.
`--device cpu` rehearses without a device.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from trpo_gail.adversaries.discriminator import Discriminator
from trpo_gail.bench import toys
from trpo_gail.build import make_adversary, make_learner
from trpo_gail.config.presets import preset
from trpo_gail.config.tree import Config, DiscriminatorConfig, PolicyConfig
from trpo_gail.errors import UserError
from trpo_gail.generators.trpo import TRPO
from trpo_gail.parallel import Workers
from trpo_gail.policies.fisher import fisher_product
from trpo_gail.sampling import transitions
from trpo_gail.sampling.batch import Rows
from trpo_gail.system import whole_file

WIDTHS, BATCHES = (64, 256, 1024, 4096), (2048, 16384, 65536)
ENVS = 16
SECONDS = 0.3  # for a part, besides its first call
MOST = 1024 * 1024 * 4096  # units^2 * rows per CPU thread of a cell; beyond, it would take minutes
TRAINING = 20.0  # s
Found = dict[str, Any]
Device = Literal["cpu", "cuda"]


def config(width: int, rows: int, device: Device) -> Config:
    """The default preset with networks of one width."""
    base = preset("default", "Hopper-v4")
    return dataclasses.replace(
        base, device=device, num_envs=ENVS, timesteps_per_batch=rows, expert="any",
        policy=PolicyConfig(hidden_sizes=(width, width)),
        critic=dataclasses.replace(base.critic, hidden_sizes=(width, width), vf_iters=1),
        discriminator=DiscriminatorConfig(hidden_size_adversary=width), d_step=4,
    )  # fmt: skip


def parts(width: int, rows: int, device: Device) -> dict[str, Callable[[], Any]]:
    """The timed functions, by name."""
    cfg, workers, spec = config(width, rows, device), Workers(), toys.spec(11, 3)
    held = toys.rollout(spec, rows // ENVS, ENVS)
    seen = transitions.of([held], Rows(0, rows, rows))
    expert = dataclasses.replace(seen, observations=seen.observations.astype(np.float32))
    learner = make_learner(cfg, toys.Still(spec, ENVS), expert, workers)  # type: ignore[arg-type]
    batch = learner.critic.batch(held, held.rewards, Rows(0, rows, rows))
    policy, trpo = learner.policy, learner.generator
    assert isinstance(trpo, TRPO)
    discriminator = make_adversary(cfg, spec, expert, policy, workers)
    assert isinstance(discriminator, Discriminator)
    policy.normaliser.add(torch.cat([torch.tensor([1.0]), torch.zeros(11), torch.ones(11)]))
    with torch.no_grad():
        z = policy.normaliser(batch.observations)[:: cfg.trpo.fvp_subsample]
        product, v = fisher_product(policy, trpo.flat, z), torch.randn_like(trpo.flat.vector)

    def rng() -> np.random.Generator:
        return np.random.default_rng(0)

    return {
        "batch (transfer, values, GAE)": lambda: learner.critic.batch(held, held.rewards, Rows(0, rows, rows)),
        "Fisher product": lambda: product(v),
        "TRPO step": lambda: trpo.step(batch, rng()),
        "critic, 1 pass": lambda: learner.critic.fit(batch, rng()),
        "discriminator, 4 updates": lambda: discriminator.fit(seen, rng()),
        "reward": lambda: discriminator.reward(seen),
    }


def milliseconds(call: Callable[[], Any], device: Device) -> float:
    """Median time of a call, until the device has finished."""

    def once() -> float:
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        return 1e3 * (time.perf_counter() - start)

    first, end, times = once(), time.perf_counter() + SECONDS, list[float]()
    while not times or (time.perf_counter() < end and len(times) < 50):
        if times and first > 1e3 * SECONDS:
            break
        times.append(once())
    return statistics.median(times)


def places(device: Device) -> list[tuple[str, Device, int]]:
    """(title, device, threads)."""
    cores = Workers().threads()
    return [("1 core", "cpu", 1), (f"{cores} cores", "cpu", cores), (device, device, cores)]


def table(device: Device, quick: bool, found: Found, keep: Callable[[], None]) -> None:
    """Times by width, batch, part and place; `keep` is called after each cell."""
    for width in WIDTHS[:1] if quick else WIDTHS:
        for batch in BATCHES[:1] if quick else BATCHES:
            cell: dict[str, dict[str, float]] = {}
            found["table"].append({"units": width, "rows": batch, "milliseconds": cell})
            for title, where, threads in places(device):
                if where == "cpu" and width * width * batch > MOST * min(threads, 4):
                    continue
                torch.set_num_threads(threads)
                for name, call in parts(width, batch, where).items():
                    cell.setdefault(name, {})[title] = round(milliseconds(call, where), 3)
                print(f"{width} units, {batch} rows, {title}: done", flush=True)
                keep()


def counts(device: Device) -> dict[str, dict[str, int]]:
    """Kernels, copies from and to the device, and waits for it, in one call of each part with the smallest networks."""
    from torch.profiler import ProfilerActivity, profile

    kinds = {"copies to the host": "Memcpy DtoH", "copies to the device": "Memcpy HtoD"}
    found = {}
    for name, call in parts(WIDTHS[0], BATCHES[0], device).items():
        call()
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
            call()
            torch.cuda.synchronize()
        events = seen.events()
        names = [event.name for event in events]
        found[name] = {
            "kernels": sum("LaunchKernel" in n for n in names),
            **{title: sum(n.startswith(kind) for n in names) for title, kind in kinds.items()},
            "waits": names.count("cudaStreamSynchronize"),
        }
    return found


def trainings(device: Device, seconds: float, env: str, expert: str) -> dict[str, float | None]:
    """Environment steps per second of whole trainings, by place."""
    from trpo_gail.bench.jobs import measured

    rates: dict[str, float | None] = {}
    where: Device
    for where, ranks in (("cpu", 1), (device, 1), (device, 2)):
        title = f"{where}, {ranks} rank{'s' if ranks > 1 else ''}"
        given = dataclasses.replace(preset("default", env), expert=expert, device=where)
        try:
            rates[title] = measured("training", given, ranks, seconds)["steps_s"]
        except UserError as error:
            print(f"{title}: {error}", file=sys.stderr)
            rates[title] = None
    return rates


def markdown(found: Found) -> str:
    """The same as Markdown tables."""
    titles = list(dict.fromkeys(t for row in found["table"] for times in row["milliseconds"].values() for t in times))
    lines = [f"# {found['device']}", "", f"{found['date']}, commit {found['commit']}, torch {found['torch']}.", ""]
    lines += [f"| units | rows | part | {' | '.join(f'{t}, ms' for t in titles)} |", "|" + " --: |" * (3 + len(titles))]
    for row in found["table"]:
        for name, times in row["milliseconds"].items():
            cells = " | ".join("" if t not in times else f"{times[t]:.3g}" for t in titles)
            lines.append(f"| {row['units']} | {row['rows']} | {name} | {cells} |")
    if found["counts"]:
        kinds = list(next(iter(found["counts"].values())))
        lines += ["", f"| one call, {WIDTHS[0]} units, {BATCHES[0]} rows | {' | '.join(kinds)} |"]
        lines += ["| --- |" + " --: |" * len(kinds)]
        lines += [f"| {name} | {' | '.join(str(c[k]) for k in kinds)} |" for name, c in found["counts"].items()]
    if found["trainings"]:
        lines += ["", "| training | steps a second |", "| --- | --: |"]
        lines += [
            f"| {name} | {'failed' if rate is None else f'{rate:,.0f}'} |" for name, rate in found["trainings"].items()
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """From flags to files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--env", default="Hopper-v4")
    parser.add_argument("--expert", default="expert_data/Hopper-v4.h5")
    parser.add_argument("--quick", action="store_true", help="only one line of the table, no trainings")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    found: Found = {
        "device": torch.cuda.get_device_name() if given.device == "cuda" else platform.processor() or "CPU",
        "date": time.strftime("%Y-%m-%d"), "commit": commit or "unknown", "torch": torch.__version__,
        "table": [], "counts": {}, "trainings": {},
    }  # fmt: skip

    def keep() -> None:
        whole_file.write_json(given.out / "gpu.json", found)
        whole_file.write(given.out / "gpu.md", markdown(found).encode())

    if given.device == "cuda":
        found["counts"] = counts(given.device)
    table(given.device, given.quick, found, keep)
    if not given.quick:
        found["trainings"] = trainings(given.device, TRAINING, given.env, given.expert)
    keep()
    print(markdown(found))


if __name__ == "__main__":
    main()
