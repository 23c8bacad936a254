"""Pages that are made from the code are what the code makes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path


def test_the_page_of_features_is_made_from_the_registries(repository: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_docs", repository / "tools" / "make_docs.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert (repository / "docs" / "features.md").read_text(encoding="utf-8") == tool.page(), "run: make docs"


def test_every_link_within_the_project_leads_somewhere(repository: Path) -> None:
    pages = [repository / "README.md", repository / "CONTRIBUTING.md", *(repository / "docs").glob("*.md")]
    dead = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert dead == []
