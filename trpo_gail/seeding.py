"""Every environment has its own random streams, one for each purpose; no generator is shared.

A stream's seed is a 31-bit hash of (seed, purpose, restart or iteration, global environment index). So an environment
depends neither on the number of ranks nor on the other environments.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TRAIN_RESET, TRAIN_NOISE, EVAL_RESET, EVAL_NOISE, MINIBATCH, INITIAL, RECORD_RESET, RECORD_NOISE, CLONING = range(9)


def stream_seed(seed: int, purpose: int, *where: int) -> int:
    """A 31-bit seed for one stream; if any argument changes, the new seed is unrelated to the old one."""
    return int(np.random.SeedSequence([seed, purpose, *where]).generate_state(1)[0] >> 1)


def drawn() -> int:
    """A seed from the system."""
    return int(np.random.SeedSequence().generate_state(1)[0] >> 1)


def stream(seed: int, purpose: int, *where: int) -> np.random.Generator:
    """A new numpy generator for one stream."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, purpose, *where])))


def reset_seeds(seed: int, purpose: int, restart: int, environments: Sequence[int]) -> list[int]:
    """One reset seed per environment, by global index."""
    return [stream_seed(seed, purpose, restart, index) for index in environments]
