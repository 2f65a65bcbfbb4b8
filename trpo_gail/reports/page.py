"""A report as one HTML file: sections of text, tables and pictures. It needs no network and no other file, and no script:
where scripts run, one makes those figures answer that have a chart.

Pictures are drawn dark on white; on a dark screen the style sheet turns them over, hues kept.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from trpo_gail.errors import UserError
from trpo_gail.reports import chart
from trpo_gail.reports.chart import Chart
from trpo_gail.reports.style import for_phones
from trpo_gail.system import whole_file

Cell = str | float | int | None


@dataclass(frozen=True)
class Table:
    """Numbers stand to the right, text to the left; None is a dash."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


def words(value: object) -> str:
    """A setting as a cell's text; the items of a list stand side by side."""
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


@dataclass(frozen=True)
class Figure:
    """A picture."""

    name: str  # of its PNG file, without the ending
    png: bytes
    alt: str  # what it shows, for whom does not see it
    caption: str = ""
    narrow: bytes | None = None  # the same for a phone
    chart: Chart | None = None  # its numbers, for a reader who points at it

    @classmethod
    def drawn(
        cls, name: str, draw: Callable[[], bytes], alt: str, caption: str = "", chart: Chart | None = None
    ) -> Figure:
        """The picture that a function of `plots` draws, wide and narrow."""
        wide = draw()
        with for_phones():
            return cls(name, wide, alt, caption, draw(), chart)


@dataclass(frozen=True)
class Section:
    """A part of a page; blank lines part the paragraphs of its text."""

    title: str
    text: str = ""
    parts: Sequence[Table | Figure] = ()


def write(path: Path, title: str, lead: str, sections: Sequence[Section]) -> None:
    """Write the page whole or not at all. Raises UserError if it cannot."""
    _replace(path, html(title, lead, sections).encode(errors="replace"))  # a file's name may be no text


def write_pictures(folder: Path, sections: Sequence[Section]) -> list[Path]:
    """Each section's pictures as PNG files: NAME.png. Raises UserError if they cannot be written."""
    pictures = [part for section in sections for part in section.parts if isinstance(part, Figure)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: no folder can be made here: {error.strerror}") from error
    paths = [folder / f"{picture.name}.png" for picture in pictures]
    for path, picture in zip(paths, pictures, strict=True):
        _replace(path, picture.png)
    return paths


def _replace(path: Path, content: bytes) -> None:
    try:
        whole_file.write(path, content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def html(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The page's text. Titles and texts are plain text, not HTML."""
    body = [f"<h1>{escape(title)}</h1>", *_paragraphs(lead)]
    links = "".join(f'<a href="#{_anchor(s.title)}">{escape(s.title)}</a>' for s in sections)
    body.append(f"<nav>{links}</nav>")
    for section in sections:
        body.append(f'<section id="{_anchor(section.title)}">\n<h2>{escape(section.title)}</h2>')
        body += _paragraphs(section.text)
        body += [_table(part) if isinstance(part, Table) else _figure(part) for part in section.parts]
        body.append("</section>")
    policy, style = _POLICY, _STYLE
    if any(isinstance(part, Figure) and part.chart for section in sections for part in section.parts):
        code, allowed = chart.script()
        body.append(f"<script>{code}</script>")
        policy, style = f"{policy}; script-src {allowed}", style + chart.STYLE
    return _PAGE.format(title=escape(title), policy=policy, style=style, body="\n".join(body))


def _paragraphs(text: str) -> Iterator[str]:
    return (f"<p>{escape(part.strip())}</p>" for part in text.split("\n\n") if part.strip())


def _anchor(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def _table(table: Table) -> str:
    columns = range(len(table.header))
    numeric = [bool(table.rows) and not any(isinstance(row[k], str) for row in table.rows) for k in columns]

    def line(cells: Sequence[Cell], tag: str) -> str:
        return "<tr>" + "".join(_cell(*pair, tag) for pair in zip(cells, numeric, strict=True)) + "</tr>"

    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    rows = "\n".join(line(row, "td") for row in table.rows)
    head = f"<thead>{line(table.header, 'th')}</thead>"
    return f'<div class="table"><table>{caption}{head}\n<tbody>{rows}</tbody></table></div>'


def _cell(cell: Cell, numeric: bool, tag: str) -> str:
    text = cell if isinstance(cell, str) else format_number(cell)
    return f"<{tag}{' class=number' if numeric else ''}>{escape(text)}</{tag}>"


def format_number(value: float | int | None) -> str:
    """Four digits that count, thousands parted; whole numbers whole; a dash for None."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def _figure(figure: Figure) -> str:
    image = f'<img alt="{escape(figure.alt)}" src="{_data(figure.png)}">'
    if figure.narrow is not None:
        image = f'<picture><source media="{_PHONE}" srcset="{_data(figure.narrow)}">{image}</picture>'
    caption = f"<figcaption>{escape(figure.caption)}</figcaption>" if figure.caption else ""
    numbers = chart.as_html(figure.chart) if figure.chart else ""
    return f"<figure>{image}{caption}{numbers}</figure>"


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


_PHONE = "screen and (max-width: 64rem)"  # narrower than `main` with its margins


# It forbids, in the browser too, that anything be loaded, and that anything be run but our own script.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

_STYLE = """
:root { --text: #1a1a1a; --soft: #5a5a5a; --line: #d0d0d0; --back: #ffffff; --link: #0b5c97; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
p { max-width: 46rem; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
a { color: var(--link); }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; margin: 1rem 0; }
caption, figcaption { text-align: left; color: var(--soft); font-size: .85rem; margin: .3rem 0; }
th, td { padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td { max-width: 46rem; overflow-wrap: break-word; }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--back); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; }
img { display: block; width: 100%; height: auto; }
@media screen and (max-width: 64rem) {
  picture img { max-width: 34rem; }
  td:first-child { max-width: 9rem; overflow-wrap: anywhere; }
}
@media screen and (prefers-color-scheme: dark) {
  :root { --text: #e4e4e4; --soft: #a8a8a8; --line: #3c3c3c; --back: #121212; --link: #7ab8e6; }
  img { filter: invert(.93) hue-rotate(180deg); }
}
@media print {
  main { max-width: none; padding: 0; }
  nav { display: none; }
  figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""
