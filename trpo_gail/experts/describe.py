"""Demonstrations in words, for a person."""

from __future__ import annotations

import json

import numpy as np

from trpo_gail.experts import structured
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.fit import outside
from trpo_gail.spaces.as_json import bounds_from_json


def info(held: Demonstrations) -> list[tuple[str, str]]:
    """All that a source holds as (name, value) lines."""
    facts, lengths = held.provenance, held.episode_lengths
    return [
        ("file", held.path),
        ("sha256", held.sha256),
        ("format", held.format),
        ("environment", " ".join([facts.env_id or "unknown", json.dumps(dict(facts.env_kwargs))])),
        ("episodes", str(len(lengths))),
        ("transitions", f"{len(held.observations)} rows of {lengths.sum()} steps (subsample {held.subsample})"),
        ("observations", structured.described(held.observations)),
        ("actions", f"{held.actions.dtype} {list(held.actions.shape)}, {_action_range(held)}"),
        ("action view", facts.action_view or "unknown"),
        ("returns", _returns(held)),
        ("lengths", _spread(lengths[: held.finished] if held.finished else lengths)),
        ("ends", _ends(held)),
        ("policy", " ".join(filter(None, [facts.policy, _manner(facts.deterministic)])) or "unknown"),
        ("policy sha256", facts.policy_sha256 or "unknown"),
        ("seed", "unknown" if facts.seed is None else str(facts.seed)),
        ("recorded with", ", ".join(f"{k} {v}" for k, v in sorted(facts.versions.items())) or "unknown"),
        ("backend", facts.backend or "unknown"),
        ("licence", facts.licence or "unknown"),
        ("attribution", facts.attribution or "unknown"),
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


def _returns(held: Demonstrations) -> str:
    if held.episode_returns is None:
        return "unknown (no rewards)"
    returns = held.finished_returns
    return "unknown (no finished episode)" if returns is None else _spread(returns)


def _ends(held: Demonstrations) -> str:
    said = f"{held.terminals.sum()} terminal, {held.timeouts.sum()} by time limit"
    if not held.unfinished:
        return said
    return f"{said}, 1 unfinished of {held.episode_lengths[-1]} steps, which returns and lengths leave out"


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.1f} +- {values.std():.1f}, {values.min():.6g} to {values.max():.6g}"


def _action_range(held: Demonstrations) -> str:
    text = f"{held.actions.min():.6g} to {held.actions.max():.6g}"
    bounds = bounds_from_json(held.provenance.action_space or {})
    if bounds is None or held.actions.shape[1:] != bounds[0].shape or bounds[0].shape != bounds[1].shape:
        return text
    share = float(outside(held.actions, *bounds).mean())
    return f"{text}, {share:.1%} of coordinates outside the bounds {bounds[0].min():g} to {bounds[1].max():g}"
