"""Formulas become MathML when the site is built, which browsers draw by themselves: no script from elsewhere is loaded."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """The page with its formulas drawn."""
    return _FORMULA.sub(_drawn, content)


def _drawn(found: re.Match[str]) -> str:
    display = "block" if found[2] == "[" else "inline"
    return f"<{found[1]} class='formula'>{convert(html.unescape(found[3]).strip(), display=display)}</{found[1]}>"
