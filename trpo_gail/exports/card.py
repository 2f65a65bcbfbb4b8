"""The card of a shared run, README.md: written from the run's own JSON alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from trpo_gail.config import words
from trpo_gail.config.files import from_dict
from trpo_gail.config.tree import CloningConfig, Config

PLACE = "RUN"  # what the card calls the folder that `pull` makes
_NAMES = {
    "gail": "GAIL", "airl": "AIRL", "fem": "FEM", "gtal": "GTAL", "trpo": "TRPO", "ppo": "PPO", "constant": "Constant reward",
    "exported": "Exported reward",
}  # fmt: skip


def card(content: Mapping[str, Any], summary: Mapping[str, Any], files: set[str], source: str) -> str:
    """The text. `content` is that of config.json, cleaned; `summary` that of summary.json, or empty; `files` are those beside
    it; `source` is where the folder can be pulled from."""
    config = from_dict(Config, content["config"], "config.json")
    name = _algorithm(content, config)
    returned = _return(content, config, summary)
    parts = [
        _metadata(config, name, returned),
        f"# {name} on {config.env}",
        "A policy that was trained by `trpo_gail`. The numbers on this page are the run's own, from `summary.json` and "
        "`config.json`.",
        *_picture(files),
        _table(_facts(content, config, summary, returned)),
        "## Use",
        "It needs the package trpo_gail. `pull` makes a run folder, which `evaluate`, `record`, `export --policy`, "
        "`report` and `train --init_policy` take. No file here is a pickle.",
        _code("sh", f"trpo-gail pull {source} {PLACE}", *_evaluation(config, returned)),
        _code("python", "import trpo_gail", "", f'policy = trpo_gail.load_policy("{PLACE}")')
        + "\n`policy.predict(observation)` is the action.",
        "## Training",
        _code("sh", _command(content, config)),
        *(["![Learning curve](learning_curve.png)"] if "learning_curve.png" in files else []),
    ]
    return "\n\n".join(parts) + "\n"


def _algorithm(content: Mapping[str, Any], config: Config) -> str:
    if content["kind"] == "cloning":
        return "Behavioural cloning"
    generator = _NAMES.get(config.generator, config.generator)
    if config.adversary == "env_reward":
        return generator
    return f"{_NAMES.get(config.adversary, config.adversary)} with {generator}"


def _return(content: Mapping[str, Any], config: Config, summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is known of the policy's return: mean, and for the last policy also std and episodes. None if nothing is."""
    if content["policy"]["which"] == "best":
        best = summary.get("best_return")
        return None if best is None else {"mean": best, "std": None, "episodes": config.eval_episodes}
    if summary.get("return_mean") is None:
        return None
    return {"mean": summary["return_mean"], "std": summary["return_std"], "episodes": summary["episodes"]}


def _metadata(config: Config, name: str, returned: Mapping[str, Any] | None) -> str:
    """The block in YAML that the hub reads. Texts in quotes are JSON, which YAML contains."""
    tags = ["reinforcement-learning", "imitation-learning", "trpo_gail", config.env]
    lines = ["---", "library_name: trpo_gail", "pipeline_tag: reinforcement-learning", "tags:"]
    lines += [f"- {json.dumps(tag)}" for tag in tags]
    if returned:
        metric = f"type: mean_reward, name: mean_reward, value: {json.dumps(_spread(returned))}, verified: false"
        lines += [
            "model-index:",
            f"- name: {json.dumps(name)}",
            "  results:",
            "  - task: {type: reinforcement-learning, name: reinforcement-learning}",
            f"    dataset: {{type: {json.dumps(config.env)}, name: {json.dumps(config.env)}}}",
            f"    metrics: [{{{metric}}}]",
        ]
    return "\n".join([*lines, "---"])


def _spread(returned: Mapping[str, Any]) -> str:
    return f"{returned['mean']:.2f}" + ("" if returned["std"] is None else f" +/- {returned['std']:.2f}")


def _facts(
    content: Mapping[str, Any], config: Config, summary: Mapping[str, Any], returned: Mapping[str, Any] | None
) -> Iterator[tuple[str, str]]:
    yield "environment", f"`{config.env}`" + ("" if config.env_kwargs == "{}" else f" `{config.env_kwargs}`")
    if returned is None:
        yield "return", "not evaluated"
    else:
        when = " of an evaluation during training, by which it was chosen" if returned["std"] is None else ""
        count = f"{returned['episodes']} episode" + "s" * (returned["episodes"] != 1)
        yield "return", f"{_spread(returned)} (deterministic, {count}{when})"
    for title, name in (("expert's return", "expert_return_mean"), ("random policy's return", "random_return_mean")):
        if summary.get(name) is not None:
            yield title, f"{summary[name]:.2f}"
    if returned and returned["std"] is not None and summary.get("scaled_score") is not None:
        yield "scaled score", f"{summary['scaled_score']:.3f} (0 random, 1 expert)"
    if summary.get("steps"):
        yield "environment steps", f"{summary['steps']:,}"
    yield "iteration", str(content["policy"]["iteration"])
    yield "seed", str(config.seed)
    if content["setting"].get("expert"):
        yield "demonstrations", _demonstrations(content["setting"], config)
    if content["sessions"]:
        found = content["sessions"][-1].get("versions") or {}
        yield "made with", ", ".join(f"{k} {v}" for k, v in found.items() if k in ("trpo_gail", "torch", "gymnasium"))


def _demonstrations(setting: Mapping[str, Any], config: Config) -> str:
    given = [] if config.trajectories is None else [f"`--trajectories {config.trajectories}`"]
    given += [] if config.subsample == 1 else [f"`--subsample {config.subsample}`"]
    return " ".join([f"`{setting['expert']}`", *given, f"(SHA-256 `{setting['expert_sha256']}`)"])


def _table(rows: Iterator[tuple[str, str]]) -> str:
    lines = [f"| {name} | {text.replace('|', '/')} |" for name, text in rows]
    return "\n".join(["| | |", "|---|---|", *lines])


def _picture(files: set[str]) -> list[str]:
    if "replay.gif" in files:
        return ["![One episode](replay.gif)"]
    return ["One episode: [replay.mp4](replay.mp4)"] if "replay.mp4" in files else []


def _evaluation(config: Config, returned: Mapping[str, Any] | None) -> list[str]:
    """The command that measures the return again: from the same starts, if it is the last policy's."""
    if returned is None or returned["std"] is None:
        return [f"trpo-gail evaluate {PLACE}"]
    return [f"trpo-gail evaluate {PLACE} --episodes {returned['episodes']} --seed {config.seed}   # the return above"]


def _command(content: Mapping[str, Any], config: Config) -> str:
    if content["kind"] == "cloning":
        cloning = from_dict(CloningConfig, content["cloning"], "config.json")
        return shlex.join(["trpo-gail", "clone", *words.of_cloning(cloning)])
    return shlex.join(["trpo-gail", "train", *words.of_training(config)])


def _code(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])
