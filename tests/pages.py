"""What every page must be: HTML whose tags match, and that needs nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

NO_END = {"meta", "link", "img", "br", "source"}


class Balance(HTMLParser):
    """Notes every tag and its attributes; fails where an end does not meet its beginning."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []  # attributes and text
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in NO_END:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_alone(text: str) -> Balance:
    """Well-formed, and needs nothing from elsewhere."""
    page = Balance(text)
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "base")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "srcset", "href"):
            if attributes.get(name):
                assert re.match("data:|#", str(attributes[name])), attributes[name]
    for elsewhere in ("http:", "https:", "url(", "@import"):
        assert elsewhere not in text
    check_scripts(page)
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = {str(a["href"])[1:] for tag, a in page.tags if tag == "a"}
    assert links == targets
    return page


def check_scripts(page: Balance) -> None:
    """Blocks of data, and besides them one script at most, which the page's policy names."""
    (policy,) = (str(a["content"]) for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    code = [(attributes, text) for attributes, text in page.scripts if attributes != {"type": "application/json"}]
    assert len(code) == policy.count("script-src") <= 1
    for attributes, text in code:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert attributes == {} and policy.endswith(f"; script-src 'sha256-{digest}'")


def charts(page: Balance) -> list[dict[str, Any]]:
    """The numbers of the page's figures that answer."""
    return [json.loads(text) for attributes, text in page.scripts if attributes]
