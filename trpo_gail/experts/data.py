"""Demonstrations: the one container of an expert's rows, from a file to the learner.

Legend of shapes: N rows, E episodes, O observation size, A action size.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts import structured
from trpo_gail.experts.facts import LEFT_OUT, LIMIT, PART, TERMINAL, UNSAID, Ends, Provenance, Whole
from trpo_gail.experts.subsampling import paper_rows
from trpo_gail.spaces.spec import ActionView
from trpo_gail.system import typed

if TYPE_CHECKING:
    from trpo_gail.sampling.transitions import Transitions

# The fields of `Demonstrations` that have an element a row.
ROWS = (
    "observations",
    "actions",
    "terminals",
    "timeouts",
    "steps",
    "rewards",
    "next_observations",
    "followers",
)


def content_sha256(held: Demonstrations) -> str:
    """The SHA-256, in hex, of the arrays of demonstrations that come from no file: names, dtypes, shapes and bytes."""
    digest = hashlib.sha256()
    for name in (f.name for f in fields(held)):
        if isinstance(values := getattr(held, name), np.ndarray):
            digest.update(f"{name} {values.dtype} {values.shape} ".encode() + values.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)  # arrays are not equal or unequal as a whole: `sha256` is what tells two apart
class Demonstrations:
    """Rows, episode after episode, and facts of the whole episodes.

    Rows are those that the paper keeps of each episode with `subsample`. What a reader makes holds all that its source
    holds; `select` gives fewer rows.
    """

    observations: np.ndarray  # [N, O], or [N, ...], with the digits of the source; [N] records if they have parts
    actions: np.ndarray  # [N, A] float, or [N] int64, or as many dimensions as the environment's; [N, 0] of no actions
    terminals: np.ndarray  # [N] bool
    timeouts: np.ndarray  # [N] bool
    steps: np.ndarray  # [N] int64, index within the episode
    episode_lengths: np.ndarray  # [E] int64, steps of the whole episodes; of an unfinished one, so far
    rewards: np.ndarray | None = None  # [N]
    episode_returns: np.ndarray | None = None  # [E] float64, of the whole episodes; of an unfinished one, so far
    next_observations: np.ndarray | None = None  # [N, O], if the source holds them
    subsample: int = 1  # every how many-th row is there
    provenance: Provenance = field(default_factory=Provenance)
    says_ends: bool = True  # the paper's layout does not; terminals are all False then, and timeouts mark parts alone
    unfinished: bool = False  # the last episode goes on behind the last row, and its return is not known
    path: str = ""  # what messages call the source
    sha256: str = ""  # of the file
    format: str = "arrays"  # what the source is
    whole: Whole | None = None  # of the source, if `select` made this
    followers: np.ndarray | None = None  # [N, O], the next observations of rows that `select` took out of line
    final_observations: np.ndarray | None = None  # [E, O], what was observed after each episode's last action
    episode_endings: np.ndarray | None = None  # [E] integers, `endings`, if the rows need not say it, as after `select`
    notes: tuple[str, ...] = ()  # what a reader found or decided that a person should know
    columns: tuple[tuple[str, slice], ...] = ()  # of observations that are rows of several parts: the names and columns

    def __repr__(self) -> str:
        known = "" if self.return_mean is None else f", return {self.return_mean:.6g}"
        source = f"{self.path or self.format}: " if self.path or self.format else ""
        return f"Demonstrations({source}{len(self.episode_lengths)} episodes, {len(self.observations)} pairs{known})"

    # --- All episodes, whichever are kept -------------------------------------------------------------------------

    @cached_property
    def facts(self) -> Whole:
        """Of all episodes of the source, whichever are kept."""
        if self.whole:
            return self.whole
        returns = self.finished_returns
        mean, std = (None, None) if returns is None else (float(returns.mean()), float(returns.std()))
        return Whole(len(self.episode_lengths), mean, std, self._ends())

    @property
    def trajectories_held(self) -> int:
        """By the source."""
        return self.facts.trajectories

    @property
    def return_mean(self) -> float | None:
        """Over all finished episodes of the source, not only those kept; None if it is not known."""
        return self.facts.return_mean

    @property
    def return_std(self) -> float | None:
        """Likewise, of the population."""
        return self.facts.return_std

    @property
    def ends(self) -> Ends | None:
        """How all episodes of the source end; None if it does not say."""
        return self.facts.ends

    def _ends(self) -> Ends | None:
        return Ends.of(self.endings) if self.says_ends else None

    # --- The episodes kept ----------------------------------------------------------------------------------------

    @property
    def has_actions(self) -> bool:
        """Whether the source holds actions; without them, states alone can be imitated."""
        return self.actions.shape[1:] != (0,)

    @property
    def observed(self) -> Iterator[tuple[str, np.ndarray]]:
        """The parts of the observations, [N, ...] each, by their names; of one array itself, whose name is empty."""
        if self.columns:
            return ((name, self.observations[:, which]) for name, which in self.columns)
        return structured.parts(self.observations)

    @property
    def env_id(self) -> str | None:
        return self.provenance.env_id

    @property
    def env_kwargs(self) -> Mapping[str, Any]:
        return self.provenance.env_kwargs

    @property
    def action_view(self) -> ActionView | None:
        """As the source states it."""
        return self.provenance.action_view

    @property
    def trajectories(self) -> int:
        return len(self.episode_lengths)

    @cached_property
    def episode_of(self) -> np.ndarray:
        """Which episode [N] int64 each row is of."""
        return paper_rows(self.episode_lengths, self.subsample)[0]

    @property
    def last(self) -> np.ndarray:
        """Which rows [N] bool are the last of their episodes."""
        return self.steps == self.episode_lengths[self.episode_of] - 1

    @cached_property
    def endings(self) -> np.ndarray:
        """How each episode ends, [E] integers: `facts.TERMINAL` and others."""
        if self.episode_endings is not None:
            return self.episode_endings
        found, last = np.full(self.trajectories, LEFT_OUT, np.int8), self.last
        cut = LIMIT if self.says_ends else PART
        said = np.where(self.terminals[last], TERMINAL, np.where(self.timeouts[last], cut, UNSAID))
        found[self.episode_of[last]] = said
        return found

    @property
    def finished(self) -> int:
        """Episodes whose end is there."""
        return self.trajectories - self.unfinished

    @property
    def finished_returns(self) -> np.ndarray | None:
        """[finished] float64; None if there is no such episode or its return is not known."""
        if self.episode_returns is None or not self.finished:
            return None
        return self.episode_returns[: self.finished]

    @property
    def given_return_mean(self) -> float | None:
        """Of the finished episodes kept, by which a learner of them is to be judged; None if it is not known."""
        returns = self.finished_returns
        return None if returns is None else float(returns.mean())

    # --- What a learner is given ----------------------------------------------------------------------------------

    def select(self, trajectories: int | None = None, subsample: int = 1) -> Demonstrations:
        """The first `trajectories` (default: all), every `subsample`-th row from an offset, as in the paper.

        Raises UserError for more trajectories than there are, and for subsampling what was subsampled before.
        """
        total = self.trajectories
        kept = total if trajectories is None else trajectories
        for name, value in (("trajectories", kept), ("subsample", subsample)):
            typed.whole(f"{self.path}: {name}", value, least=-sys.maxsize)
        if subsample < 1:
            raise UserError(f"{self.path}: subsample: expected at least 1, found {subsample}")
        if not 1 <= kept <= total:
            raise UserError(f"{self.path}: trajectories: expected 1 to {total}, which the file holds, found {kept}")
        if min(subsample, self.subsample) > 1:
            raise UserError(
                f"{self.path}: subsample: the file already holds one row in {self.subsample}, expected 1, "
                f"found {subsample}"
            )
        lengths = self.episode_lengths[:kept]
        episode, step = paper_rows(lengths, max(subsample, self.subsample))
        if not len(step):
            raise UserError(f"{self.path}: subsample: {subsample} leaves no row of {kept} trajectories")
        # Rows of later episodes stand behind; a source that was subsampled before holds exactly the rows wanted.
        first = np.cumsum(lengths) - lengths
        rows = first[episode] + step if subsample > 1 else np.arange(len(step))
        fewer = self._rows(rows)
        if subsample > 1:  # the last rows of most episodes are gone
            fewer = replace(fewer, episode_endings=self.endings)
        if subsample > 1 and self.next_observations is None:  # the neighbours of these rows are gone
            fewer = replace(fewer, followers=self._after(rows))
        return replace(
            fewer,
            episode_lengths=lengths,
            episode_returns=None if self.episode_returns is None else self.episode_returns[:kept],
            final_observations=None if self.final_observations is None else self.final_observations[:kept],
            subsample=max(subsample, self.subsample),
            episode_endings=None if fewer.episode_endings is None else fewer.episode_endings[:kept],
            unfinished=self.unfinished and kept == total,
            whole=self.facts,
        )

    def _rows(self, rows: np.ndarray) -> Demonstrations:
        """Some rows, in order; `self` if they are all."""
        if len(rows) == len(self.observations):
            return self
        held = {name: getattr(self, name) for name in ROWS}
        fewer: dict[str, Any] = {name: values[rows] for name, values in held.items() if values is not None}
        return replace(self, **fewer)

    def transitions(self) -> Transitions:
        """For an adversary. Its next observations are made when they are asked for."""
        from trpo_gail.sampling.transitions import Transitions  # imports torch, which files need not

        endings = self.endings[: self.finished]
        whole = endings != PART
        return Transitions(
            self.observations,
            self.actions,
            self.terminals,
            self.timeouts,
            self.steps,
            self.following,
            self.rewards,
            ends=self.ends,
            lengths=self.episode_lengths[: self.finished][whole],
            endings=endings[whole],
        )

    @property
    def last_observations(self) -> np.ndarray | None:
        """What was observed after each episode's last action, [E, O]; None if one is not known."""
        if self.final_observations is not None or self.next_observations is None:
            return self.final_observations
        return self.next_observations[np.cumsum(self.episode_lengths) - 1]

    def following(self) -> np.ndarray:
        """What was observed after each row [N, O]; NaN if it is not known."""
        return self._after(np.arange(len(self.observations)))

    def _after(self, rows: np.ndarray) -> np.ndarray:
        """What was observed after each of these rows [R, O]; NaN if it is not known.

        An episode's last row has a successor only if the source holds it; a subsampled row if `select` kept it.
        """
        for held in (self.next_observations, self.followers):
            if held is not None:
                return held[rows]
        within = self.steps[rows] + 1 < self.episode_lengths[self.episode_of[rows]]

        def after(_: str, part: np.ndarray, final: np.ndarray | None) -> np.ndarray:
            every = (self.subsample == 1 or not within.any()) and (final is not None or within.all())
            found = np.full(
                (len(rows), *part.shape[1:]), 0 if every else np.nan, part.dtype if every else floating(part)
            )
            if self.subsample == 1:
                found[within] = part[rows[within] + 1]
            if final is not None:
                found[~within] = final[self.episode_of[rows[~within]]]
            return found

        def floating(part: np.ndarray) -> np.dtype:
            return part.dtype if part.dtype.kind == "f" else np.dtype(np.float64)  # integers have no NaN

        return structured.changed(self.observations, after, self.final_observations)
