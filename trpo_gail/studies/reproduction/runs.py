"""The policies of one cell, ours or the paper's, and what they come to together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Runs:
    """The policies of one cell."""

    means: tuple[float, ...]  # [runs], of a run's episodes
    stds: tuple[float, ...]  # [runs], of the population
    episodes: tuple[int, ...]  # [runs]

    @property
    def mean(self) -> float:
        """Over all episodes of all runs, as in the paper's Table 3."""
        return float(np.average(self.means, weights=self.episodes))

    @property
    def std(self) -> float:
        """Of the population of all episodes of all runs, likewise."""
        square = np.average(np.square(self.stds) + np.square(np.subtract(self.means, self.mean)), weights=self.episodes)
        return math.sqrt(square)
