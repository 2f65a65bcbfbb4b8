"""Experts of two tasks that act by rule, for `trpo-gail record --policy scripted_experts:FUNCTION`.

    PYTHONPATH=scripts trpo-gail record minigrid:MiniGrid-DoorKey-5x5-v0 --policy scripted_experts:door_key \
        --episodes 300 --out door_key.h5
    PYTHONPATH=scripts trpo-gail record gymnasium_robotics:FetchReach-v4 --policy scripted_experts:fetch_reach \
        --noise 0.2 --episodes 100 --out fetch_reach.h5
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

# MiniGrid's codes
LEFT, RIGHT, FORWARD, PICK_UP, TOGGLE = 0, 1, 2, 3, 5
EMPTY, DOOR, KEY, GOAL = 1, 4, 5, 8
OPEN = 0
AHEAD = ((0, -1), (1, 0), (0, 1), (-1, 0))  # the cell ahead for each heading, clockwise from that of the agent

Cell = tuple[int, int]


def door_key(seen: dict[str, Any]) -> int:
    """Fetch the key, open the door, walk to the goal: an action for the agent's own view [W, H, 3], without memory.

    The agent stands at the middle of the lower edge and looks up. If nothing that it needs is in view, it turns.
    """
    kinds, states = seen["image"][:, :, 0], seen["image"][:, :, 2]
    carries = kinds[_here(kinds)] == KEY
    free = (kinds == EMPTY) | (kinds == GOAL) | ((kinds == DOOR) & (states == OPEN))

    def way(wanted: np.ndarray, last: int | None) -> int | None:
        return _first_step(free, wanted, last)

    closed = (kinds == DOOR) & (states != OPEN)
    others = np.ones_like(free)
    others[_here(kinds)] = False
    steps = (
        way(kinds == GOAL, None),
        way(closed, TOGGLE) if carries else way((kinds == KEY) & others, PICK_UP),
        way((kinds == DOOR) & (states == OPEN), None),
    )
    return next((step for step in steps if step is not None), RIGHT)


def fetch_reach(seen: dict[str, Any]) -> np.ndarray:
    """Move the gripper towards the goal in proportion to the distance [3]; leave the fingers alone."""
    towards = 10.0 * (seen["desired_goal"] - seen["achieved_goal"])
    return np.append(np.clip(towards, -1.0, 1.0), 0.0)


def _here(kinds: np.ndarray) -> Cell:
    return kinds.shape[0] // 2, kinds.shape[1] - 1


def _first_step(free: np.ndarray, wanted: np.ndarray, last: int | None) -> int | None:
    """First action of a shortest way to a wanted cell, both [W, H] bool; None if there is no way.

    With `last`, the way ends in front of the cell, and `last` is the action there.
    """
    start = (_here(free), 0)
    queue: deque[tuple[Cell, int, int | None]] = deque([(*start, None)])
    reached = {start}
    while queue:
        cell, heading, first = queue.popleft()
        ahead = (cell[0] + AHEAD[heading][0], cell[1] + AHEAD[heading][1])
        if last is not None and _holds(wanted, ahead):
            return last if first is None else first
        if last is None and first is not None and wanted[cell]:
            return first
        moves = [(LEFT, cell, (heading - 1) % 4), (RIGHT, cell, (heading + 1) % 4)]
        if _holds(free, ahead):
            moves.insert(0, (FORWARD, ahead, heading))
        for action, there, turned in moves:
            if (there, turned) not in reached:
                reached.add((there, turned))
                queue.append((there, turned, action if first is None else first))
    return None


def _holds(cells: np.ndarray, cell: Cell) -> bool:
    inside = all(0 <= place < size for place, size in zip(cell, cells.shape, strict=True))
    return inside and bool(cells[cell])
