"""What is wrong with demonstrations, what is to be warned of, and what is simply so.

A file that is malformed is no dataset, and reading it raises; what is found here is in files that can be read. Every check
is a function of demonstrations that returns findings; `CHECKS` is the table of them, and the cheap ones are asked before
every training, too (`cautions`). N rows, E episodes, O observation size, A action size.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from trpo_gail.experts import structured
from trpo_gail.experts.check import returns as episode_returns
from trpo_gail.experts.checks import cuts, fit, padding
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import LEFT_OUT
from trpo_gail.experts.numbers import INTEGERS, listed_numbers
from trpo_gail.magnitudes import too_large
from trpo_gail.spaces.as_json import bounds_from_json

Level = Literal["error", "warning", "fact"]
MOST = 5  # numbers that a finding lists
CLOSE = 1e-3  # relative: rewards are stored as float32, and sums of them differ by less


@dataclass(frozen=True)
class Finding:
    """One thing about a file."""

    level: Level
    check: str  # by which it was found
    text: str


Check = Callable[[Demonstrations], Iterator[Finding]]


def findings(held: Demonstrations) -> list[Finding]:
    """Of all checks, errors first."""
    found = [finding for check in CHECKS for finding in check(held)]
    if any(finding.check == "cuts" for finding in found):  # then returns are of parts of two episodes
        found = [finding for finding in found if finding.check != "failures"]
    return sorted(found, key=lambda finding: ("error", "warning", "fact").index(finding.level))


def cheap(held: Demonstrations) -> list[str]:
    """Warnings for whoever is about to learn from it, each beginning with the file's name."""
    return [f"{held.path}: {found.text}" for check in CHEAP for found in check(held) if found.level == "warning"]


def as_json(held: Demonstrations, found: list[Finding]) -> dict[str, Any]:
    """For a program."""
    levels: tuple[Level, ...] = ("error", "warning", "fact")
    listed = {f"{level}s": [_plain(f) for f in found if f.level == level] for level in levels}
    return {"file": held.path, "sha256": held.sha256, "format": held.format, "valid": not listed["errors"], **listed}


def refused(path: str, why: str) -> dict[str, Any]:
    """The same of what could not be read."""
    errors = [_plain(Finding("error", "reading", why))]
    unknown = {"sha256": None, "format": None}
    return {"file": path, **unknown, "valid": False, "errors": errors, "warnings": [], "facts": []}


def _plain(finding: Finding) -> dict[str, str]:
    return {name: value for name, value in dataclasses.asdict(finding).items() if name != "level"}


# ---- columns ---------------------------------------------------------------------------------------------------------


def _arrays(held: Demonstrations) -> Iterator[tuple[str, np.ndarray]]:
    """Observations and actions, and in place of observations of several parts each part."""
    for part, values in held.observed:
        yield f"observations.{part}" if part else "observations", values
    if held.has_actions:
        yield "actions", held.actions


def _sizes(held: Demonstrations) -> Iterator[Finding]:
    rows, episodes = len(held.observations), held.trajectories
    shapes = f"observations {structured.described(held.observations)}, "
    shapes += f"actions {structured.described(held.actions)}" if held.has_actions else "no actions"
    yield Finding("fact", "sizes", f"{rows} rows of {episodes} episodes; {shapes}; all numbers are finite")
    for name, values in _arrays(held):
        if (value := too_large(values, "float32")) is not None:
            yield Finding(
                "warning", "sizes", f"'{name}': {value:g} does not fit float32; training needs --dtype float64"
            )


def _columns(held: Demonstrations) -> Iterator[Finding]:
    """Columns that say nothing: zero (contact forces of an older simulator), or constant."""
    for name, values in _arrays(held):
        if values.ndim != 2 or len(values) < 2:
            continue
        constant = (values == values[:1]).all(axis=0)
        zero = np.flatnonzero(constant & (values[0] == 0))
        if len(zero):
            many = len(zero) >= 20 and name != "actions"
            hint = "; so many may be contact forces, which MuJoCo 2 to 2.1.3 left at zero" if many else ""
            yield Finding("warning", "columns", f"'{name}': columns {listed_numbers(zero)} are all zero{hint}")
        rest = np.flatnonzero(constant & (values[0] != 0))
        if len(rest):
            yield Finding("warning", "columns", f"'{name}': columns {listed_numbers(rest)} are constant")


def _clock(held: Demonstrations) -> Iterator[Finding]:
    for name, column, steps in fit.clocks(held):
        yield Finding(
            "warning",
            "clock",
            f"'{name}': column {column} only counts time, by {steps:.4g} a step: a discriminator can read off it what "
            "an environment without it cannot show",
        )


# ---- actions ---------------------------------------------------------------------------------------------------------


def _actions(held: Demonstrations) -> Iterator[Finding]:
    space = held.provenance.action_space or {}
    if held.actions.dtype.kind in INTEGERS:
        labels = np.unique(held.actions)
        yield Finding("fact", "actions", f"discrete actions {listed_numbers(labels)}")
        if labels[0] < min(_first_label(space), 0):
            yield Finding(
                "error",
                "actions",
                f"'actions': integers are labels, expected from 0 on, found {labels[0]}: write a Box's as floats "
                "[rows, action size]",
            )
        if isinstance(n := space.get("n"), int) and labels[-1] >= n + _first_label(space):
            yield Finding(
                "error", "actions", f"'actions': expected labels below {n} as 'action_space' says, found {labels[-1]}"
            )
        return
    if _are_labels(held.actions):
        yield Finding(
            "warning",
            "actions",
            "'actions' are floats that are whole numbers: for a Discrete space write integers [rows]",
        )
    bounds = bounds_from_json(space)
    if bounds is None or bounds[0].shape != held.actions.shape[1:] or bounds[1].shape != bounds[0].shape:
        if held.action_view is None:
            yield Finding("fact", "actions", "the file says neither bounds nor view of actions (raw or executed)")
        return
    if text := fit.taken_for_raw(held, *bounds, "the bounds that the file states"):
        yield Finding("warning", "actions", text)
        return
    outside = fit.outside(held.actions, *bounds)
    share = float(outside.mean())
    yield Finding("fact", "actions", f"{share:.1%} of action coordinates are outside the bounds that the file states")
    if held.action_view == "executed" and outside.any():
        yield Finding(
            "error", "actions", f"'actions' are executed, as the file says, but {share:.1%} are outside its bounds"
        )
    if held.action_view == "raw" and not outside.any() and _at_bounds(held.actions, *bounds):
        yield Finding(
            "warning",
            "actions",
            "'actions' are raw, as the file says, but all are inside the bounds and many lie on them, as if clipped: with "
            "--actions executed, the learner's actions are clipped before the discriminator sees them, as these seem to be",
        )


def _first_label(space: Mapping[str, Any]) -> int:
    """Of a Discrete space, or the smallest of several labels' first ones."""
    return int(np.min(space.get("start") or 0))


def _are_labels(actions: np.ndarray) -> bool:
    """Whether a column of floats holds a few whole numbers from 0 on."""
    if actions.shape[1] != 1 or (actions != np.round(actions)).any():
        return False
    labels = np.unique(actions)
    return bool(labels[0] == 0 and 1 < len(labels) == labels[-1] + 1)


def _at_bounds(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether more than one coordinate in a hundred lies on a bound exactly: what a continuous sample never does."""
    return bool(((actions == low) | (actions == high)).mean() > 0.01)


# ---- returns ---------------------------------------------------------------------------------------------------------


def _returns(held: Demonstrations) -> Iterator[Finding]:
    stated = held.episode_returns
    if stated is None:
        yield Finding("fact", "returns", "no rewards and no returns: the scaled score of a run will be unknown")
        return
    finished = held.finished_returns
    if finished is not None:
        mean, std = finished.mean(), finished.std()
        yield Finding(
            "fact", "returns", f"return {mean:.6g} +- {std:.6g}, {finished.min():.6g} to {finished.max():.6g}"
        )
    if held.rewards is None or held.subsample != 1:
        return
    sums, scale = (episode_returns(rewards, held.episode_lengths) for rewards in (held.rewards, np.abs(held.rewards)))
    wrong = np.flatnonzero(np.abs(sums - stated) > CLOSE * np.maximum(1.0, np.maximum(scale, np.abs(stated))))
    if not len(wrong):
        return
    one = int(wrong[0])
    said = f"episode {one} states {stated[one]:.6g}, its rewards add up to {sums[one]:.6g}"
    if (held.rewards == 1).all() and (stated < 0).any():
        yield Finding(
            "warning",
            "returns",
            f"all rewards are +1, but {said}: the rewards are a filler, or an imitation's; the returns may be right",
        )
        return
    yield Finding(
        "warning",
        "returns",
        f"'episode_returns' contradict 'rewards' in {len(wrong)} of {len(stated)} episodes ({said}): if they are wrong, the "
        "scaled score means nothing",
    )


def _failures(held: Demonstrations) -> Iterator[Finding]:
    """A few failed episodes among good ones. By the median and the quartiles, which a few do not move."""
    returns = held.finished_returns
    if returns is None or len(returns) < 4:
        return
    lower, middle, upper = np.quantile(returns, (0.25, 0.5, 0.75))
    spread = max(upper - lower, 0.05 * abs(middle))
    low = np.flatnonzero(returns < middle - 5.0 * spread)
    if spread > 0 and 0 < len(low) <= max(1, len(returns) // 10):
        worst = int(low[np.argmin(returns[low])])
        yield Finding(
            "warning",
            "failures",
            f"episodes {listed_numbers(low)} return much less than the others, {returns[worst]:.6g} where the median is "
            f"{middle:.6g}: `trpo-gail data select --min_return` leaves them out",
        )


# ---- episodes --------------------------------------------------------------------------------------------------------


def _ends(held: Demonstrations) -> Iterator[Finding]:
    ends, lengths = held.ends, held.episode_lengths
    yield Finding("fact", "ends", f"episodes of {lengths.min()} to {lengths.max()} steps")
    if held.unfinished:
        yield Finding(
            "warning", "ends", f"the last episode, of {lengths[-1]} steps, is unfinished: it counts in no mean"
        )
    if ends is None:
        yield Finding("fact", "ends", "the format does not say how episodes end")
        return
    unsaid = ends.unsaid - held.unfinished
    yield Finding("fact", "ends", f"{ends.terminal} episodes end by termination, {ends.limit} by time limit")
    if left_out := int((held.endings == LEFT_OUT).sum()):
        yield Finding("fact", "ends", f"of {left_out} episodes the last rows are left out: how they end is not known")
    if ends.reward:
        yield Finding("fact", "reward", ends.reward)
    if unsaid > 0:
        which = (
            f"the last rows of {unsaid} episodes have" if ends.terminal or ends.limit else "no episode's last row has"
        )
        none = "no end marked" if ends.terminal or ends.limit else "an end marked"
        yield Finding("warning", "ends", f"'terminals' and 'timeouts': {which} {none}")


def _cuts(held: Demonstrations) -> Iterator[Finding]:
    """Ends that are marked in a row beside the one where an episode ends."""
    if (off := cuts.shift(held)) is None:
        return
    where, cause = (
        ("too early", "ends by the numbers of the last rows, where those of the rows behind are expected?")
        if off < 0
        else ("too late", "flags of first rows, where those of last rows are expected?")
    )
    yield Finding(
        "warning",
        "cuts",
        f"episodes are cut one row {where}: what follows in the rows fits everywhere but beside the ends ({cause})",
    )


def _padding(held: Demonstrations) -> Iterator[Finding]:
    if text := padding.told(padding.zeros(held), held.episode_lengths):
        yield Finding("warning", "padding", text)


def _middle(held: Demonstrations) -> Iterator[Finding]:
    """Rows after an end."""
    for name in ("terminals", "timeouts"):
        within = np.flatnonzero(getattr(held, name) & ~held.last)
        if len(within):
            yield Finding(
                "warning",
                "rows after an end",
                f"'{name}' is True in {len(within)} rows in the middle of an episode, such as rows {listed_numbers(within)}: "
                "rows go on after the end",
            )
    both = np.flatnonzero(held.terminals & held.timeouts)
    if len(both):
        yield Finding("fact", "ends", f"{len(both)} rows are terminal and at the time limit: they count as terminal")


def _copies(held: Demonstrations) -> Iterator[Finding]:
    """Episodes whose rows are another's."""
    seen: dict[bytes, int] = {}
    copies: list[tuple[int, int]] = []
    firsts = np.flatnonzero(np.diff(held.episode_of)) + 1
    parts = zip(np.split(held.observations, firsts), np.split(held.actions, firsts), strict=True)
    episodes = held.episode_of[np.concatenate([[0], firsts])]
    for episode, (observations, actions) in zip(episodes.tolist(), parts, strict=True):
        digest = hashlib.sha256(observations.tobytes() + b"|" + actions.tobytes()).digest()
        if digest in seen:
            copies.append((episode, seen[digest]))
        else:
            seen[digest] = episode
    if copies:
        such = ", ".join(f"{copy} of {first}" for copy, first in copies[:MOST])
        yield Finding(
            "warning",
            "copies",
            f"{len(copies)} of {held.trajectories} episodes are copies of another (episode {such}): they are one "
            "trajectory, and count as several",
        )


def _successors(held: Demonstrations) -> Iterator[Finding]:
    """Next observations that are not the next row's."""
    if held.next_observations is None or held.subsample != 1:
        return
    within = np.flatnonzero(held.steps[1:] == held.steps[:-1] + 1)
    differ = np.zeros(len(within), bool)
    both = zip(structured.parts(held.observations), structured.parts(held.next_observations), strict=True)
    for (_, values), (_, after) in both:
        close = np.isclose(values[within + 1], after[within], rtol=1e-4, atol=1e-5)
        differ |= ~structured.columns(close).all(axis=1)
    if differ.any():
        yield Finding(
            "warning",
            "next observations",
            f"'next_observations' of {int(differ.sum())} of {len(within)} rows are not the next row's observations, such as "
            f"of rows {listed_numbers(within[differ])}: an episode breaks there without a mark, or they were disturbed",
        )


def _notes(held: Demonstrations) -> Iterator[Finding]:
    """What the reader decided."""
    for note in held.notes:
        yield Finding("fact", "reading", note)


CHECKS: tuple[Check, ...] = (
    _notes, _sizes, _columns, _clock, _actions, _returns, _failures, _ends, _cuts, _padding, _middle, _copies,
    _successors,
)  # fmt: skip
# Those that `cautions` does not say already, and that take little time.
CHEAP: tuple[Check, ...] = (
    _clock, _actions, _returns, _cuts, _padding, _middle, _copies, _successors,
)  # fmt: skip
