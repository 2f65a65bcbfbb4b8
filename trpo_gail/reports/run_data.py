"""What a run folder says, as far as it says anything: a run may go on still, have been stopped, or be an old one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.records import SUCCESS
from trpo_gail.runs import episodes_file
from trpo_gail.runs.run_folder import Kind, inside, kind_of, read_json, read_metrics
from trpo_gail.system import typed
from trpo_gail.system.terminal import warn

# What a batch says about the policy that sampled it.
SAMPLED = (
    "return_mean", "return_std", "length_mean", "reward_mean", "reward_std", "reward_rank_correlation", SUCCESS,
)  # fmt: skip
MOST = 1e100  # of what can be drawn


@dataclass(frozen=True)
class RunData:
    """A run's folder, read."""

    path: Path
    label: str  # what tells it apart from the others on its page
    config: Mapping[str, Any]  # by path: {"trpo.max_kl": 0.01, ...}
    setting: Mapping[str, Any]
    sessions: Sequence[Mapping[str, Any]]
    rows: Sequence[Mapping[str, float | None]]
    summary: Mapping[str, Any]  # empty while a run has not ended
    kind: Kind
    episodes: np.ndarray = field(default_factory=lambda: np.zeros((4, 0)))  # as `episodes_file.read` has them

    @property
    def env(self) -> str:
        return str(self.config.get("env", "unknown environment"))

    @property
    def generator(self) -> str:
        return str(self.config.get("generator", "trpo"))  # an old run knows no other

    @property
    def cloned(self) -> bool:
        """Whether it is a run of behavioural cloning."""
        return self.kind == "cloning"

    @property
    def x_name(self) -> str:
        """What its rows count: steps, or for behavioural cloning iterations."""
        return "steps" if self.rows and "steps" in self.rows[0] else "iteration"

    def column(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A column of the metrics against `x_name`: (x [R], values [R]), the rows that have it. Old runs lack columns."""
        x, values = self.curve(name)
        measured = np.isfinite(values)
        return x[measured], values[measured]

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The same for a line: (x [R], values [R]), not a number where a value was to be measured and was not."""
        due, x = self._due(name), self._x(name)
        points: list[tuple[float, float]] = []
        for k, row in enumerate(self.rows):
            value = row.get(name) if _is_drawable(row.get(name)) else None
            if name not in row or not (due[k] or value is not None):
                continue
            if due[k] > 1:
                points.append((x[k], np.nan))
            points.append((x[k], np.nan if value is None else value))
        xs, values = np.array(points, np.float64).reshape(-1, 2).T
        return xs, values

    def training_episodes(self) -> np.ndarray:
        """Episodes of training [3, E]: x, return, and success (NaN where it is not known). None in old runs, and of
        iterations whose row is lost. An iteration's stand at equal distances between its batch's begin and its end."""
        begins, known = self._x(SUCCESS), self.episodes[:, np.abs(self.episodes[1]) <= MOST]
        parts = [np.zeros((3, 0))]
        for row, begin in zip(self.rows, begins, strict=True):
            its, end = known[:, known[0] == row.get("iteration")], float(row[self.x_name] or 0)
            places = begin + (end - begin) * (np.arange(its.shape[1]) + 0.5) / max(1, its.shape[1])
            parts.append(np.stack([places, its[1], its[3]]))
        return np.concatenate(parts, axis=1)

    def _x(self, name: str) -> list[float]:
        """Where a column's values stand: a policy's own batch where it began, so that the first policy's is at 0."""
        ends = [float(row[self.x_name] or 0) for row in self.rows]
        if name not in SAMPLED or self.x_name != "steps":
            return ends
        begins = [0.0, *ends]
        return [end if self._lost_before(k) else begins[k] for k, end in enumerate(ends)]

    def _due(self, name: str) -> list[int]:
        """How many values each row was to bring: none, one, or more where rows before it are lost. Periodic evaluations
        come as `eval_every` says, all else with every iteration."""
        lost = [self._lost_before(k) for k in range(len(self.rows))]
        if not name.startswith("eval_"):
            return [1 + missing for missing in lost]
        every, due, after = float(self.config.get("eval_every") or np.inf), [], 0.0
        for row, missing in zip(self.rows, lost, strict=True):
            count = max(0, int(((row.get("steps") or 0.0) - after) // every))
            after += count * every if count else 0.0
            due.append(count if missing else min(count, 1))
        return due

    def _lost_before(self, k: int) -> bool:
        """Whether iterations before row `k` are missing from the file."""
        if self.cloned or self.rows[k].get("iteration") is None:
            return False
        before = self.rows[k - 1]["iteration"] if k else 0.0
        return self.rows[k]["iteration"] != (before or 0.0) + 1

    def last(self, name: str) -> float | None:
        """A column's last value, if it has any."""
        values = self.column(name)[1]
        return float(values[-1]) if len(values) else None


def load(paths: Sequence[str | Path]) -> list[RunData]:
    """Read the folders of one run or several. Raises UserError for one that is no run folder, or given twice."""
    folders = [path for path in map(Path, paths) if not _is_beside(path)] or [*map(Path, paths)]
    seen = set()
    for folder in folders:
        if not (folder / "config.json").is_file():
            page = folder / "index.html"
            hint = f"; a comparison's page is {page}" if page.is_file() else inside(folder)
            raise UserError(f"{folder}: not a run folder (it has no config.json){hint}")
        if folder.resolve() in seen:
            raise UserError(f"{folder}: given twice, different runs expected")
        seen.add(folder.resolve())
    return [_load(folder, label) for folder, label in zip(folders, _labels(folders), strict=True)]


def _is_beside(path: Path) -> bool:
    """Whether it is what a study keeps beside a run's folder, which `NAME*` names, too."""
    return path.suffix in (".log", ".lock") and path.is_file() and path.with_suffix("").is_dir()


# What a page reckons with, and so must be of its kind; what else is there it prints.
_TOP = {"kind": Kind, "cloning": dict, "config": dict, "setting": dict, "sessions": list[dict]}
_CONFIG = {
    "env": str, "generator": str, "adversary": str, "expert": str | None, "trajectories": int | None, "subsample": int,
    "trpo.max_kl": float, "eval_every": int, "seed": int, "success": str | None,
}  # fmt: skip
_SETTING = {"expert": str | None, "expert_sha256": str | None}
_SESSION: dict[str, Any] = {
    "time": str, "command": list[str], "versions": dict[str, str], "commit": str | None, "device": str, "ranks": int,
    "threads": int,
}  # fmt: skip
_RETURNS = ("return_mean", "return_std", "expert_return_mean", "random_return_mean")
_RATES = ("success_rate", "random_success_rate")
_SUMMARY = dict.fromkeys((*_RETURNS, *_RATES), float | None) | {
    "returns": list[float],
    "steps": int | None,
    "stopped": str,
}


def _load(path: Path, label: str) -> RunData:
    file = path / "config.json"
    content = _fitting(read_json(file), _TOP, file)
    kind = kind_of(content, file)
    rows = read_metrics(path)  # before the episodes, which a run that goes on writes first
    settings = content.get("cloning" if kind == "cloning" else "config") or content.get("config", {})
    return RunData(
        path=path,
        label=label,
        config=_fitting(_flat(settings), _CONFIG, file),
        setting=_fitting(content.get("setting", {}), _SETTING, file),
        sessions=[_fitting(session, _SESSION, file) for session in content.get("sessions", [])],
        rows=rows,
        summary=_summary(path / "summary.json"),
        kind=kind,
        episodes=_episodes(path, rows),
    )


def _episodes(path: Path, rows: Sequence[Mapping[str, float | None]]) -> np.ndarray:
    """None if the file cannot be read, which is told."""
    try:
        return episodes_file.read(path, rows)
    except OSError as error:
        warn(f"{path / episodes_file.NAME}: cannot be read and is left out ({error.strerror})")
        return np.zeros((4, 0))


def _summary(file: Path) -> dict[str, Any]:
    """Empty without a file, and with a damaged one, which is told."""
    if not file.exists():
        return {}
    try:
        return _fitting(read_json(file), _SUMMARY, file)
    except UserError as error:
        warn(f"{error}; it is left out")
        return {}


def _fitting(values: dict[str, Any], kinds: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Without those values that are not of their kind, which is told."""
    there = [name for name in kinds if name in values]
    wrong = [name for name in there if not (typed.fits(values[name], kinds[name]) and _is_small(values[name]))]
    for name in wrong:
        words = typed.words(kinds[name])
        warn(f"{file}: field {name!r}: {words} expected, found {values[name]!r:.60}; it is left out")
    return {name: value for name, value in values.items() if name not in wrong}


def _is_small(value: Any) -> bool:
    """Whether the numbers in it, if it is one or a list of some, can be drawn."""
    numbers = [number for number in (value if isinstance(value, list) else [value]) if isinstance(number, float)]
    return all(map(_is_drawable, numbers))


def _is_drawable(number: float | None) -> bool:
    return number is not None and abs(number) <= MOST  # not a number is not


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """By path, like `config.flatten`, but for what another version wrote too."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def _labels(folders: Sequence[Path]) -> list[str]:
    """Names of the folders, with as many of those above as it takes to tell them apart."""
    parts = [folder.resolve().parts[1:] for folder in folders]
    for count in range(1, max(map(len, parts)) + 1):
        labels = ["/".join(p[-count:]).encode(errors="backslashreplace").decode() for p in parts]  # or be no text
        if len(set(labels)) == len(labels):
            break
    return labels


def by_environment(runs: Sequence[RunData], places: Sequence[int]) -> dict[str, list[int]]:
    """Those places in `runs` by environment: returns and states can be compared within one only."""
    groups: dict[str, list[int]] = {}
    for place in places:
        groups.setdefault(runs[place].env, []).append(place)
    return groups
