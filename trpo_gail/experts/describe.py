"""Demonstrations in words, for a person."""

from __future__ import annotations

import json

import numpy as np

from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import LEFT_OUT
from trpo_gail.experts.outline import Outline, bounds, outline


def info(given: Demonstrations | Outline) -> list[tuple[str, str]]:
    """All that a source holds as (name, value) lines."""
    held = given if isinstance(given, Outline) else outline([given])
    facts, lengths, finished = held.last.provenance, held.episode_lengths, held.finished
    return [
        ("file", held.path),
        ("sha256", held.last.sha256),
        ("format", held.last.format),
        ("environment", " ".join([facts.env_id or "unknown", json.dumps(dict(facts.env_kwargs))])),
        ("episodes", str(len(lengths))),
        ("transitions", f"{held.rows} rows of {lengths.sum()} steps (subsample {held.last.subsample})"),
        ("observations", held.described("observations")),
        ("actions", f"{held.described('actions')}, {_action_range(held)}" if held.last.has_actions else "no actions"),
        ("action view", facts.action_view or "unknown"),
        ("returns", _returns(held)),
        ("lengths", _spread(lengths[:finished] if finished else lengths)),
        ("ends", _ends(held)),
        ("policy", " ".join(filter(None, [facts.policy, _manner(facts.deterministic)])) or "unknown"),
        ("policy sha256", facts.policy_sha256 or "unknown"),
        ("seed", "unknown" if facts.seed is None else str(facts.seed)),
        ("recorded with", ", ".join(f"{k} {v}" for k, v in sorted(facts.versions.items())) or "unknown"),
        ("backend", facts.backend or "unknown"),
        ("licence", facts.licence or "unknown"),
        ("attribution", facts.attribution or "unknown"),
        *([("reward", reward)] if held.ends and (reward := held.ends.reward) else []),
        *(("note", text) for text in held.notes),
    ]


def selection(data: Demonstrations) -> str:
    """What a learner is given, and how good it is beside the file's mean, for a person."""
    kept, held, returns = data.trajectories, data.trajectories_held, data.finished_returns
    which = f"all {held}" if kept == held else f"the first {kept} of {held}" if kept > 1 else f"the first of {held}"
    said = f"{len(data.actions)} pairs of {which} trajectories"
    if data.unfinished:
        said += " (the last is unfinished)"
    if returns is None:
        return said
    beside = "" if kept == held else f" (all {held}: {data.return_mean:.1f})"
    return f"{said}, whose return is {returns.mean():.1f}{beside}"


def _manner(deterministic: bool | None) -> str:
    return "" if deterministic is None else "(deterministic)" if deterministic else "(stochastic)"


def _returns(held: Outline) -> str:
    if (returns := held.episode_returns) is None:
        return "unknown (no rewards)"
    return _spread(returns[: held.finished]) if held.finished else "unknown (no finished episode)"


def _ends(held: Outline) -> str:
    said = f"{held.terminals} terminal, {held.timeouts} by time limit" if held.last.says_ends else "not said"
    if held.ends and held.last.subsample > 1:  # its rows say it of few episodes; it is read as one piece
        unknown = int((held.last.endings == LEFT_OUT).sum())
        said = f"{held.ends.terminal} terminal, {held.ends.limit} by time limit"
        said += f", {unknown} unknown, whose last rows are left out" if unknown else ""
    if not held.unfinished:
        return said
    return f"{said}, 1 unfinished of {held.episode_lengths[-1]} steps, which returns and lengths leave out"


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.1f} +- {values.std():.1f}, {values.min():.6g} to {values.max():.6g}"


def _action_range(held: Outline) -> str:
    text = f"{held.lowest:.6g} to {held.highest:.6g}"
    if (limits := bounds(held.last)) is None:
        return text
    share = held.outside / max(1, held.rows * limits[0].size)
    return f"{text}, {share:.1%} of coordinates outside the bounds {limits[0].min():g} to {limits[1].max():g}"
