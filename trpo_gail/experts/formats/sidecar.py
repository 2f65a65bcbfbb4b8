"""Names of columns that a file without names needs: one line in `FILE.columns`, such as `obs*4 action reward`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from trpo_gail.errors import UserError, shortened

_LONGEST = 1 << 20


def path_of(path: Path) -> Path:
    """Where the names of a file's columns stand, if they do."""
    return path.with_name(path.name + ".columns")


def names(path: Path, count: int) -> tuple[str, ...] | None:
    """Names of `count` columns, those of one array numbered (`obs_0, obs_1`); None if there is no such file.

    Names stand with spaces or commas between them; `obs*4` is four times `obs`. Raises UserError for another number.
    """
    place = path_of(path)
    try:
        with open(place, encoding="utf-8-sig") as stream:
            text = stream.read(_LONGEST)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{place}: expected a line of names: {shortened(str(error), 80)}") from error
    found: list[str] = []
    for word in re.split(r"[\s,]+", text.strip()):
        name, _, times = word.partition("*")
        repeated = int(times) if re.fullmatch(r"\d{1,6}", times) else 0 if times else 1
        if not name or not repeated or len(found) + repeated > max(count, 1000):
            raise UserError(f"{place}: expected {count} names such as obs*4, action, found '{shortened(word, 40)}'")
        found += [name] * repeated
    if len(found) != count:
        raise UserError(f"{place}: expected names of {count} columns, found {len(found)}")
    return _numbered(found)


def missing(path: Path, found: str) -> UserError:
    """What to say of a file whose columns nothing names; `found` says what it holds."""
    return UserError(
        f"{path}: {found}, which nothing names: write their names into {path_of(path).name}, such as `obs*4 action` "
        "(docs/expert_data.md)"
    )


def _numbered(found: list[str]) -> tuple[str, ...]:
    many, seen = Counter(found), Counter[str]()
    out = []
    for name in found:
        out.append(f"{name}_{seen[name]}" if many[name] > 1 else name)
        seen[name] += 1
    return tuple(out)
