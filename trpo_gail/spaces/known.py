"""Spaces of gymnasium's own classes, for whatever class an environment brings along."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Space, Text, Tuple

from trpo_gail.errors import UserError, shortened
from trpo_gail.spaces import saved

MOST_LETTERS = 1024  # of a text whose space does not say


def known(space: Any, where: str) -> Space:
    """The same space without subclasses: a library's kind of Box is a Box, and a text of a class of its own, as MiniGrid's
    missions are, is a Text. Of another class, the space itself. Raises UserError, beginning with `where`, for what is no
    space."""
    if not isinstance(space, Space):
        found = "nothing" if space is None else shortened(f"{type(space).__name__} {' '.join(str(space).split())}", 80)
        raise UserError(f"{where}: expected a space of gymnasium.spaces, found {found}")
    if isinstance(space, Dict):
        return Dict({key: known(inner, where) for key, inner in space.spaces.items()})
    if isinstance(space, Tuple):
        return Tuple([known(inner, where) for inner in space.spaces])
    for kind, (save, load) in saved.SPACES.items():
        if isinstance(space, kind):
            own = space if type(space) is kind else load(save(space))
            return _native(own) if isinstance(own, Box) else own
    return Text(MOST_LETTERS) if space.dtype is not None and space.dtype.kind == "U" else space


def _native(space: Box) -> Box:
    """With the machine's own order of bytes, and with eight of them at most, since torch has no others."""
    dtype = np.dtype(np.float64) if space.dtype == np.longdouble else space.dtype.newbyteorder("=")
    if dtype == space.dtype and space.dtype.isnative:
        return space
    return Box(space.low.astype(dtype), space.high.astype(dtype), dtype=dtype.type)
