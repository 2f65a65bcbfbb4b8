"""CartPole that breaks when told to: while the file `trigger` exists, the rank that it names raises, dies or worse.

The file holds "RANK KIND"; removing it heals the environment, so that the same run can be resumed. With "hold" it cannot even
be made, and makes the file `trigger`.held instead.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv

RANK = int(os.environ.get("PMI_RANK") or os.environ.get("OMPI_COMM_WORLD_RANK") or 0)


class FaultyCartPole(CartPoleEnv):
    def __init__(self, trigger: str) -> None:
        super().__init__()
        self._trigger = Path(trigger)
        if self._trigger.exists() and self._trigger.read_text().endswith(" hold"):
            self._trigger.with_suffix(".held").touch()
            time.sleep(60.0)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        if self._trigger.exists():
            try:
                rank, kind = self._trigger.read_text().split()
            except FileNotFoundError:  # another rank was faster to take it away
                rank, kind = "-1", ""
            if int(rank) == RANK:
                if kind == "raise":
                    raise ZeroDivisionError("raised by the test's environment")
                if kind == "exit":
                    sys.exit(0)
                if kind == "generator":
                    raise GeneratorExit("raised by the test's environment")
                if kind == "hang":
                    time.sleep(3600.0)
                if kind == "slow":
                    time.sleep(0.01)
                if kind == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                if kind == "nan":
                    observation = np.full_like(observation, np.nan)
                if kind.startswith("SIG"):
                    self._trigger.unlink()
                    os.kill(os.getpid(), signal.Signals[kind])
        return observation, float(reward), terminated, truncated, info


gymnasium.register("FaultyCartPole-v0", entry_point=f"{__name__}:FaultyCartPole", max_episode_steps=200)


class LateCartPole(CartPoleEnv):
    """Holds a rank at its end, for an hour: by a thread, or by a function that Python calls as it ends."""

    def __init__(self, how: str, rank: int) -> None:
        super().__init__()
        if rank == RANK and how == "thread":
            threading.Thread(target=time.sleep, args=(3600.0,), name="the environment's").start()
        elif rank == RANK and how == "exit":
            atexit.register(time.sleep, 3600.0)


gymnasium.register("LateCartPole-v0", entry_point=f"{__name__}:LateCartPole", max_episode_steps=200)
