"""Under mpirun: three epochs of each case on the device; rank 0 writes what was learned to an npz file.

usage: python worker_ranks.py OUT.npz DEVICE DTYPE CASE...
"""

from __future__ import annotations

import sys

import numpy as np
from runs_on_device import config, learned, learner, train

from trpo_gail.parallel import Workers


def main() -> None:
    out, device, dtype, *cases = sys.argv[1:]
    workers, found = Workers.world(), {}
    for case in cases:
        cfg = config(case, device, dtype)
        made = learner(cfg, workers)
        train(made, cfg, 3, workers)
        found |= {f"{case}{name}": value for name, value in learned(made).items() if ".sampler." not in name}
    if workers.main:
        np.savez(out, **found)


if __name__ == "__main__":
    main()
