"""What every page must be: HTML whose tags match, and that needs nothing from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser

NO_END = {"meta", "link", "img", "br", "source"}


class Balance(HTMLParser):
    """Notes every tag and its attributes; fails where an end does not meet its beginning."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in NO_END:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_alone(text: str) -> Balance:
    """Well-formed, and needs nothing from elsewhere."""
    page = Balance(text)
    for tag, attributes in page.tags:
        assert tag not in ("script", "iframe", "object", "base")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "srcset", "href"):
            if attributes.get(name):
                assert re.match("data:|#", str(attributes[name])), attributes[name]
    for elsewhere in ("http:", "https:", "url(", "@import"):
        assert elsewhere not in text
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = {str(a["href"])[1:] for tag, a in page.tags if tag == "a"}
    assert links == targets
    return page
