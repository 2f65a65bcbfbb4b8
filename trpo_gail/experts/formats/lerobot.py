"""LeRobot's folders: `meta/info.json` beside `data/chunk-*/*.parquet`, a row a frame, with `episode_index`.

The vectors `observation.state`, `observation.environment_state` and `action` are read; images and videos are left out.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError, listed
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import arrow
from trpo_gail.experts.formats import arrow_tables, columns, totals

NAME = "LeRobot"

_INFO = "meta/info.json"
_LARGEST_JSON = 16 << 20
_SEEN = ("image", "video")  # kinds of features that are no vectors


def holds(path: Path) -> bool:
    """Whether it is a folder with LeRobot's facts and tables."""
    return path.is_dir() and (path / _INFO).is_file() and bool(_files(path, 1))


def read(path: Path) -> Demonstrations:
    """All episodes in the order of their files. Raises UserError if all observations are images."""
    info = _info(path)
    features = info["features"] if isinstance(info.get("features"), dict) else {}
    images = [name for name, facts in features.items() if isinstance(facts, dict) and facts.get("dtype") in _SEEN]
    observed = [name for name in features if columns.field(name) == "observations" and name not in images]
    if features and not observed:
        said = f"the observations {listed(images)}" if images else "no observations"
        raise UserError(f"{path}: expected a vector such as observation.state, found {said}, which are not read")
    held = arrow_tables.of_table(arrow.read(_files(path), path), path)
    notes = [f"images that are not read: {listed(images)}"] if images else []
    notes += totals.differ(_INFO, info.get("total_episodes"), info.get("total_frames"), held.episode_lengths)
    return replace(held, notes=(*held.notes, *notes))


def _files(path: Path, most: int | None = None) -> list[Path]:
    return sorted(path.glob("data/**/*.parquet"))[:most]


def _info(path: Path) -> dict[str, Any]:
    """What `info.json` says; empty if it cannot be read."""
    try:
        with open(path / _INFO, encoding="utf-8") as stream:
            found = json.loads(stream.read(_LARGEST_JSON))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
