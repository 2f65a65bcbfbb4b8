"""Repositories of the Hugging Face hub. huggingface_hub is imported when one is named."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError
from trpo_gail.exports import shared

PREFIX = "hf:"
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_OWN = {".gitattributes"}  # which the hub puts there itself


def named(place: str) -> str | None:
    """USER/NAME of hf:USER/NAME; None for the path of a folder. Raises UserError for what is neither."""
    if place.startswith(PREFIX):
        name = place.removeprefix(PREFIX)
        if not _NAME.fullmatch(name):
            raise UserError(f"{place}: {PREFIX}USER/NAME expected")
        return name
    if place in (".", "..") or place.startswith(("/", "./", "../")):
        return None
    raise UserError(f"{place}: expected a folder as ./{place}, or {PREFIX}USER/NAME for a repository of Hugging Face")


def upload(folder: Path, name: str, force: bool, private: bool) -> str:
    """Put a folder's files into a repository, in one commit; returns its URL. Raises UserError."""
    hub = _library(name)
    with _errors(name):
        api = hub.HfApi()
        there = [file for file in api.list_repo_files(name) if file not in _OWN] if api.repo_exists(name) else []
        shared.check_place(there, PREFIX + name, force)
        api.create_repo(name, private=private or None, exist_ok=True)
        api.upload_folder(
            repo_id=name, folder_path=str(folder), commit_message="Upload a run of trpo_gail",
            delete_patterns=list(shared.FILES),
        )  # fmt: skip
    return f"https://huggingface.co/{name}"


def download(name: str, folder: Path) -> None:
    """Get the files of a repository that a run's may be, into a folder. Raises UserError."""
    hub = _library(name)
    with _errors(name):
        hub.snapshot_download(name, local_dir=str(folder), allow_patterns=list(shared.FILES))


def _library(name: str) -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(f"{PREFIX}{name}: needs huggingface_hub: pip install huggingface_hub") from error
    return huggingface_hub


@contextlib.contextmanager
def _errors(name: str) -> Iterator[None]:
    """The library raises many kinds: no network, no token, no such repository."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{PREFIX}{name}: {reason[:160]}") from error
