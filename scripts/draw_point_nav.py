"""Draws the observations of PointNav2D's demonstrations, for a learner that sees pictures instead of positions.

python scripts/draw_point_nav.py expert_data/PointNav2D-v0.h5 drawn.h5 --pixels 32
trpo-gail train PointNav2D-v0 --env_kwargs '{"pixels": 32}' --expert drawn.h5
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np

from trpo_gail.envs.tasks.point_nav import observed
from trpo_gail.errors import UserError
from trpo_gail.experts.load import read
from trpo_gail.experts.save import save


def main() -> None:
    """Draw one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="demonstrations whose observations are positions")
    parser.add_argument("out", help="the file to write")
    parser.add_argument("--pixels", type=int, default=32, help="width and height of a picture (default: 32)")
    given = parser.parse_args()
    held = read(given.source)
    if held.observations.shape[1:] != (2,):
        raise UserError(f"{given.source}: expected positions [rows, 2], found {list(held.observations.shape)}")
    pictures = observed(held.observations.astype(np.float64), given.pixels)
    kwargs = {**held.env_kwargs, "pixels": given.pixels}
    facts = replace(held.provenance, env_kwargs=kwargs, observation_space=None)
    save(
        given.out,
        replace(held, observations=pictures, next_observations=None, final_observations=None, provenance=facts),
    )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
