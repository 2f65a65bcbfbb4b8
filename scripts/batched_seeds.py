#!/usr/bin/env python3
"""Would several seeds in one process pay? Time the small networks of S runs one by one, and as one batched product.

    python scripts/batched_seeds.py [--runs 2 4 8] [--repeats 15]

Three parts of an iteration with Hopper's sizes and the default settings: a minibatch of the critic's fit (512 rows, two
layers of 64 units, a step of Adam), a product of that size alone, and the actions of 16 environments. `one by one` is the
package's own code for each run, `batched` the same in products over [S, rows, units]; both are per run, in the median over
turns, on one core. The script checks first that both move the parameters alike. What would stay as it is: the simulator's
time, and all that is not a network.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from trpo_gail.bench.tables import table  # noqa: E402
from trpo_gail.networks.mlp import MLP, tanh  # noqa: E402
from trpo_gail.optim.adam import Adam, FlatAdam  # noqa: E402
from trpo_gail.parallel import Workers  # noqa: E402
from trpo_gail.policies import actor  # noqa: E402
from trpo_gail.system.terminal import guarded  # noqa: E402

OBSERVATIONS, UNITS, ROWS, ENVIRONMENTS, STEPSIZE = 11, 64, 512, 16, 2e-3


class Batched:
    """The critics of S runs, with a leading axis for runs in each parameter and in the rows."""

    def __init__(self, nets: Sequence[MLP]) -> None:
        each = [[(layer.weight.detach(), layer.bias.detach()) for layer in net.layers] for net in nets]
        pairs = [tuple(torch.stack(parts) for parts in zip(*layer, strict=True)) for layer in zip(*each, strict=True)]
        shapes = [part.shape for pair in pairs for part in pair]
        self.vector = torch.cat([part.reshape(-1) for pair in pairs for part in pair])
        self._gradient = torch.zeros_like(self.vector, dtype=torch.float64)
        sizes = [shape.numel() for shape in shapes]
        self.parameters, self._into = (
            [part.view(shape) for part, shape in zip(torch.split(whole, sizes), shapes, strict=True)]
            for whole in (self.vector, self._gradient)
        )
        self._adam = Adam(self.vector, STEPSIZE)

    def forward(self, x: Tensor) -> list[Tensor]:
        """[S, B, I] -> what each layer gives, the input first."""
        made = [x]
        for k in range(0, len(self.parameters), 2):
            out = torch.baddbmm(self.parameters[k + 1][:, None], made[-1], self.parameters[k].transpose(1, 2))
            made.append(tanh(out) if k + 2 < len(self.parameters) else out)
        return made

    def act(self, x: np.ndarray) -> np.ndarray:
        """[S, B, I] -> [S, B, 1], by numpy, as the package's policies act."""
        for k in range(0, len(self.parameters), 2):
            weight, bias = (part.numpy() for part in self.parameters[k : k + 2])
            x = np.matmul(x, weight.transpose(0, 2, 1))
            x += bias[:, None]
            if k + 2 < len(self.parameters):
                np.tanh(x, out=x)
        return x

    def step(self, x: Tensor, targets: Tensor) -> None:
        """One step of Adam on mean squares, with sums over rows in float64, as the package has them."""
        *hidden, output = self.forward(x)
        self._gradient.zero_()
        delta = 2.0 * (output - targets)
        for k in reversed(range(len(hidden))):
            rows = delta.double()
            self._into[2 * k].baddbmm_(rows.transpose(1, 2), hidden[k].double())
            self._into[2 * k + 1].add_(rows.sum(1))
            if k:
                delta = torch.bmm(delta, self.parameters[2 * k])
                delta.addcmul_(delta * hidden[k], hidden[k], value=-1.0)
        self._adam.step((self._gradient / x.shape[1]).to(self.vector.dtype))


def pairs(runs: int) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """For each part what does it one by one, and batched."""
    rng = torch.Generator().manual_seed(0)
    nets = [MLP(OBSERVATIONS, (UNITS, UNITS), 1, out_scale=1.0, rng=rng) for _ in range(runs)]
    x, y = torch.randn(runs, ROWS, OBSERVATIONS, generator=rng), torch.randn(runs, ROWS, 1, generator=rng)
    batched, single = Batched(nets), [FlatAdam(net, STEPSIZE, Workers()) for net in nets]
    left, right = torch.randn(runs, ROWS, UNITS, generator=rng), torch.randn(runs, UNITS, UNITS, generator=rng)
    seen = x[:, :ENVIRONMENTS].numpy().copy()

    def steps() -> None:
        for fit, rows, targets in zip(single, x, y, strict=True):
            fit.step(rows, lambda out, targets=targets: 2.0 * (out - targets), ROWS)  # type: ignore[misc]

    for _ in range(3):
        steps()
        batched.step(x, y)
    for net, *theirs in zip(nets, *batched.parameters, strict=True):
        for ours, part in zip(net.parameters(), theirs, strict=True):
            torch.testing.assert_close(ours.detach(), part, rtol=1e-3, atol=1e-5)
    acting = [actor._MLP(net) for net in nets]
    return {
        "critic minibatch": (steps, lambda: batched.step(x, y)),
        "a product of it": (lambda: [a @ b for a, b in zip(left, right, strict=True)], lambda: torch.bmm(left, right)),
        "actions": (lambda: [act(rows) for act, rows in zip(acting, seen, strict=True)], lambda: batched.act(seen)),
    }


def milliseconds(what: Callable[[], object], seconds: float = 0.1) -> float:
    """Of one call, by as many as fit into some time."""
    count, began = 0, time.perf_counter()
    while (past := time.perf_counter() - began) < seconds:
        what()
        count += 1
    return 1e3 * past / count


@torch.no_grad()
def rows_of(runs: int, repeats: int) -> list[tuple[object, ...]]:
    """A row for each part, of medians; the ratio is the median over turns."""
    found = []
    for name, (one_by_one, batched) in pairs(runs).items():
        turns = [(milliseconds(one_by_one), milliseconds(batched)) for _ in range(repeats)]
        medians = [statistics.median(values) / runs for values in zip(*turns, strict=True)]
        found.append((name, runs, *medians, statistics.median(a / b for a, b in turns)))
    return found


@guarded
def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[2, 4, 8], help="numbers of runs in one process")
    parser.add_argument("--repeats", type=int, default=15, help="turns of which the median is taken")
    given = parser.parse_args()
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = [row for runs in given.runs for row in rows_of(runs, given.repeats)]
    print("\n".join(table(("part", "runs", "one by one, ms", "batched, ms", "times as fast"), rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
