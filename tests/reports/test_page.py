"""The page's HTML: tags that match, text that is only text, nothing from elsewhere."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from pages import check_alone

from trpo_gail.errors import UserError
from trpo_gail.reports import style
from trpo_gail.reports.page import Figure, Section, Table, format_number, html, write, write_pictures

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SECTIONS = [
    Section("First & <foremost>", "one\n\ntwo <script>alert(1)</script>", [Figure("dot", PIXEL, 'a "dot"', "caption")]),
    Section("Second", parts=[Table(["name", "value"], [["a", 1.0], ["b", None]], "numbers")]),
]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (1234567, "1,234,567"), (3569.5972, "3,569.6"), (0.0123456, "0.01235"), (-12.0, "-12")],
)
def test_numbers_have_four_digits_that_count(value: float | int | None, text: str) -> None:
    assert format_number(value) == text


def test_a_page_is_whole_and_alone() -> None:
    page = check_alone(html("Title <b>", "lead", SECTIONS))
    assert [a["id"] for tag, a in page.tags if tag == "section"] == ["first-foremost", "second"]
    (image,) = (a for tag, a in page.tags if tag == "img")
    assert image["alt"] == 'a "dot"'
    assert base64.b64decode(str(image["src"]).removeprefix("data:image/png;base64,")) == PIXEL


def test_the_check_sees_what_is_wrong() -> None:
    """A control."""
    text = html("Title", "", SECTIONS)
    for bad in ("<p>", '<img src="a.png">', "<script></script>", "<p onclick='x'></p>", "http://a.b", "</p>"):
        with pytest.raises((AssertionError, IndexError)):
            check_alone(text.replace("</main>", bad + "</main>"))


def test_text_is_text() -> None:
    text = html("a <b>", "", SECTIONS)
    assert "<h1>a &lt;b&gt;</h1>" in text and "&lt;script&gt;alert(1)" in text
    assert "<p>one</p>" in text


def test_columns_of_numbers_stand_to_the_right() -> None:
    text = html("", "", [Section("t", parts=[Table(["run", "n", "mixed"], [["a", 1, "x"], ["b", None, 2]])])])
    assert "<th>run</th><th class=number>n</th><th>mixed</th>" in text
    assert "<td>b</td><td class=number>–</td><td>2</td>" in text


def test_a_table_without_rows_keeps_its_head() -> None:
    assert "<th>run</th>" in html("", "", [Section("t", parts=[Table(["run"], [])])])


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("before")
    write(path, "Title", "", SECTIONS)
    assert path.read_text() == html("Title", "", SECTIONS)
    assert write_pictures(tmp_path / "new" / "folder", SECTIONS) == [tmp_path / "new" / "folder" / "dot.png"]
    assert (tmp_path / "new" / "folder" / "dot.png").read_bytes() == PIXEL
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "page.html"]


def test_what_cannot_be_written_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere/page\.html: cannot be written: No such file"):
        write(tmp_path / "nowhere" / "page.html", "Title", "", [])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file: no folder can be made here"):
        write_pictures(tmp_path / "file", SECTIONS)


def test_a_phone_gets_the_narrow_picture() -> None:
    figure = Figure.drawn("a", lambda: b"narrow" if style._for_phones.get() else b"wide", "what it shows")
    assert (figure.png, figure.narrow) == (b"wide", b"narrow") and not style._for_phones.get()
    text = html("t", "", [Section("s", parts=[figure, Figure("b", b"one", "the other")])])
    tags = [(tag, attributes) for tag, attributes in check_alone(text).tags if tag in ("picture", "source", "img")]
    assert [tag for tag, _ in tags] == ["picture", "source", "img", "img"]
    assert tags[1][1] == {"media": "screen and (max-width: 64rem)", "srcset": "data:image/png;base64,bmFycm93"}
    assert tags[2][1]["src"] == "data:image/png;base64,d2lkZQ=="
