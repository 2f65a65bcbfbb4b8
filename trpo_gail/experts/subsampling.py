"""Which rows the paper keeps of subsampled episodes."""

from __future__ import annotations

import numpy as np


def paper_offsets(episodes: int, subsample: int) -> np.ndarray:
    """The first step [episodes] that the paper keeps of each; those of n episodes begin those of n + 1."""
    # A generator of its own, and the old one: the paper's code drew its offsets so.
    return np.random.RandomState(0).randint(0, subsample, episodes)


def paper_counts(lengths: np.ndarray, subsample: int) -> np.ndarray:
    """How many rows [episodes] the paper keeps of each."""
    return np.maximum(0, -((paper_offsets(len(lengths), subsample) - lengths) // subsample))


def paper_rows(lengths: np.ndarray, subsample: int) -> tuple[np.ndarray, np.ndarray]:
    """(episode [M], step [M]) of the rows that the paper keeps of episodes with `lengths` steps: `start[i]::subsample`.

    An episode shorter than its offset keeps none.
    """
    lengths = np.asarray(lengths, np.int64)
    start, counts = paper_offsets(len(lengths), subsample), paper_counts(lengths, subsample)
    episode = np.repeat(np.arange(len(lengths)), counts)
    within = np.arange(len(episode)) - np.repeat(np.cumsum(counts) - counts, counts)
    return episode, start[episode] + subsample * within
