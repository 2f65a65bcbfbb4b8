"""Write docs/hyperparameters.md from the runs that results/ holds: python scripts/hyperparameters.py [FILE]

Every folder that has runs in `seed_*` is taken, such as `scripts/run_seeds.sh` keeps them: config.json, metrics.csv and
summary.json. A test compares the page with what this makes.
"""

from __future__ import annotations

import shlex
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from results_table import given, rows_of

from trpo_gail.adversaries import rewards
from trpo_gail.commands.train import parse_flags
from trpo_gail.config.files import from_dict
from trpo_gail.config.leaves import flatten, leaves
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.runs.run_folder import read_json

ROOT = Path(__file__).parents[1]
MOST = 40  # characters of a curve
BLOCKS = "▁▂▃▄▅▆▇█"
OWN = ("--seed", "--out")  # flags of one run, with a value
# Flags that are no settings of an algorithm.
PLAIN = ("--expert", "--trajectories", "--subsample", "--steps", "--eval_every", "--eval_episodes", "--final_episodes")
WIDTH = 118

HEAD = """\
# Settings by environment

Most tasks need no flags but the demonstrations: `trpo-gail train ENV --expert FILE`. This page lists which commands
were run on each environment, and their results. `python scripts/hyperparameters.py` makes it from `results/`, and a
test compares the two. The first table has one line for each folder of runs; the sections below it have the commands.

- *Expert* is the mean return of the trajectories that the learner was given, and *pairs* is how many of their
  state-action pairs it was given. If their file is not in the repository, *expert* is the mean over the whole file, and
  *pairs* is a dash.
- The bar is 95 % of the expert's return; if that is negative, it is 95 % of the way from a random policy's return to
  the expert's. *Reached* is the first periodic evaluation at or above the bar, in steps and in seconds, as the median
  over seeds; *never* if half of the seeds did not reach the bar. A seed *held* if its last three evaluations are at or
  above the bar.
- *Curve* shows the evaluations, as the median over seeds, from a random policy (▁) to the bar (█). If there are more
  than 40 evaluations, the curve shows only some of them, at equal distances.
- *Settings* is *today's* if the command does the same today, and *earlier* if the defaults were different. Then the
  sections list the flags to add. *With flags* means that the command has more flags than those of data, length and
  evaluation.

Flags bring back earlier settings, but not earlier code. Earlier runs kept the critic's first value function, which was
fitted to nothing. So their numbers will differ a little if they are repeated with these flags.

Seconds are those of a shared machine with two cores, which also did other work.

| environment | expert | pairs | reached: steps | seconds | seeds held | curve | settings | runs |
|---|---|---|---|---|---|---|---|---|"""


def main(file: Path) -> None:
    """Write the page."""
    file.write_text(page())


def page(results: Path = ROOT / "results") -> str:
    """The table, and a section for each environment, today's settings first."""
    rows, sections = [], defaultdict[str, list[str]](list)
    for folder in folders(results):
        found, name = rows_of(folder), f"results/{folder.relative_to(results)}"
        content = read_json(folder / f"seed_{found[0]['seed']}" / "config.json")
        moved, env = since(content, name), found[0]["env"]
        own = any(word.startswith("--") and word not in PLAIN for word in words(content["sessions"][0]["command"]))
        kind = ("earlier" if moved else "today's") + ", with flags" * own
        cells = [title(env), *numbers(content["config"], found), kind, f"`{name}`"]
        rows.append(((title(env), bool(moved), own, name), env, cells, section(name, content, found, moved)))
    rows.sort(key=lambda row: row[0])
    lines = [HEAD, *(f"| {' | '.join(cells)} |" for _, _, cells, _ in rows)]
    for _, env, _, text in rows:
        sections[env] += text
    for env, texts in sections.items():
        lines += ["", f"## {title(env)}", *texts]
    return "\n".join(lines) + "\n"


def folders(results: Path) -> list[Path]:
    """Those that hold runs on demonstrations."""
    found = {path.parents[1] for path in results.rglob("seed_*/summary.json") if (path.parent / "metrics.csv").exists()}
    return sorted(found)


def title(env: str) -> str:
    """An environment's name without its module."""
    return env.rpartition(":")[2]


def numbers(config: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    """The cells from the expert to the curve."""
    reached = median(float("inf") if r["reached"] is None else r["reached"] for r in rows)
    seconds = median(float("inf") if r["reached_s"] is None else r["reached_s"] for r in rows)
    never = reached == float("inf")
    return [
        f"{rows[0]['expert_return_mean']:.4g}",
        pairs(config),
        "never" if never else f"{reached:,.0f}",
        "" if never else f"{seconds:,.0f}",
        f"{sum(r['held'] for r in rows)} of {len(rows)}",
        curve(rows),
    ]


def pairs(config: dict[str, Any]) -> str:
    """The number of the demonstrations' rows, if their file is in the repository."""
    demonstrations = given(config)
    return f"{len(demonstrations.observations):,}" if demonstrations else "–"


def curve(rows: list[dict[str, Any]]) -> str:
    """The evaluations of all seeds, one character each; of more than `MOST` every second, third or so, to the last."""
    low, high = rows[0]["random_return_mean"], rows[0]["bar"]
    middle = [median(values) for values in zip(*(r["evaluations"] for r in rows), strict=False)]
    step = -(-len(middle) // MOST)
    middle = middle[::-1][::step][::-1]
    shares = [min(max((value - low) / (high - low), 0.0), 1.0) for value in middle]
    return "".join(BLOCKS[int(share * (len(BLOCKS) - 1))] for share in shares)


def section(name: str, content: dict[str, Any], rows: list[dict[str, Any]], moved: str) -> list[str]:
    """A folder's command, and what it came to."""
    session = content["sessions"][0]
    seeds, ranks = " ".join(str(r["seed"]) for r in rows), session["ranks"]
    returns = [r["return_mean"] for r in rows]
    lines = [
        "",
        f"`{name}`, {'seeds' if len(rows) > 1 else 'seed'} {seeds}, {ranks} {'ranks' if ranks > 1 else 'rank'}:",
    ]
    lines += ["", "```text"]
    lines += [*wrapped(["trpo-gail", *words(session["command"])]), "```", ""]
    lines.append(
        f"The last policy returns {number(median(returns))} in the median over seeds, {number(min(returns))} in the worst; "
        f"each is the mean of {rows[0]['episodes']} episodes."
    )
    return [*lines, "", moved] if moved else lines


def number(value: float) -> str:
    """Four digits, or all of a large number's before the point."""
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def words(command: list[str]) -> list[str]:
    """A run's command without its first word, and without what is this run's alone."""
    kept, rest = [], iter(command[1:])
    for word in rest:
        if word in OWN:
            next(rest)
        elif word != "--quiet":
            kept.append(word)
    return kept


def wrapped(parts: list[str]) -> list[str]:
    """Lines of a command, broken before flags."""
    lines, flag = [""], list[str]()
    for word in [*map(shlex.quote, parts), "--"]:  # the last closes the flag before it
        if word.startswith("--") and flag:
            text = " ".join(flag)
            if lines[-1] and len(lines[-1]) + len(text) > WIDTH - 2:
                lines[-1] += " \\"
                lines.append("   ")
            lines[-1] = f"{lines[-1]} {text}".lstrip() if len(lines) == 1 else f"{lines[-1]} {text}"
            flag = []
        flag.append(word)
    return lines


def since(content: dict[str, Any], name: str) -> str:
    """The flags that make the same of the command today, if defaults have changed since; else ""."""
    session = content["sessions"][0]
    try:
        then = flatten(from_dict(Config, content["config"], name))
    except UserError:
        return f"These runs are older than version 0.1.0. Their defaults are those of commit `{session['commit'][:7]}`."
    now = parse_flags(words(session["command"])[1:]).config
    today = flatten(now)
    if then["discriminator.absorbing"] is not None:  # None is today's automatic choice itself
        today |= absorbing(now, content["config"])
    changed = [word for key in then if key != "seed" and then[key] != today[key] for word in flag(key, then[key])]
    if not changed:
        return ""
    return "\n".join(
        ["The defaults were different then. To repeat these runs today, add", "", "```text", *wrapped(changed), "```"]
    )


def absorbing(now: Config, then: dict[str, Any]) -> dict[str, Any]:
    """What the automatic choice of absorbing states comes to today, if the demonstrations are in the repository."""
    demonstrations = given(then)
    if demonstrations is None:
        return {}
    limited = 1  # the environments of these files have a time limit
    return {"discriminator.absorbing": rewards.absorbs(now, demonstrations.transitions().ends, limited)}


def flag(path: str, value: Any) -> list[str]:
    """The words that give a setting this value."""
    leaf = leaves(Config)[path]
    section = f"{leaf.section}." if leaf.section and not leaf.short else ""
    if isinstance(value, bool):
        return [f"--{section}{'' if value else 'no_'}{leaf.name}"]
    values = value if isinstance(value, tuple | list) else [value]
    return [f"--{section}{leaf.name}", *(f"{item:g}" if isinstance(item, float) else str(item) for item in values)]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "hyperparameters.md")
