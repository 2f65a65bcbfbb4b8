"""Generalised advantage estimation (Schulman et al. 2016, eq. 16)."""

from __future__ import annotations

import numpy as np


def gae(
    reward: np.ndarray,
    value: np.ndarray,
    terminated: np.ndarray,
    boundary: np.ndarray,
    gamma: float,
    lam: float,
) -> np.ndarray:
    """A_t = sum_l (gamma lam)^l delta_{t+l} within a segment; time is axis 0. Returns [T, N].

    reward [T, N]; value [T + 1, N], V(s_t) and at the end the successor's; terminated [T, N]: V(s_{t+1}) = 0;
    boundary [T, N]: the recursion stops (an end of either kind; the last row stops by itself).
    """
    delta = reward + gamma * value[1:] * ~terminated - value[:-1]
    decay = gamma * lam * ~boundary
    advantage, carry = np.empty_like(delta), np.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        carry = delta[t] + decay[t] * carry
        advantage[t] = carry
    return advantage
