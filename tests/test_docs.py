"""Pages that are made from the code are what the code makes."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest


def load_tool(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", repository / "tools" / "make_docs.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


@pytest.mark.parametrize(
    ("page", "maker"), [("features.md", "page"), ("data_schema.md", "schema_page"), ("deidentify.md", "deidentify_page")]
)
def test_pages_are_made_from_the_code(repository: Path, page: str, maker: str) -> None:
    made = getattr(load_tool(repository), maker)()
    assert (repository / "docs" / page).read_text(encoding="utf-8") == made, "run: make docs"


def test_the_page_of_schemas_tells_of_every_column_and_key(repository: Path) -> None:
    page = (repository / "docs" / "data_schema.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^#)", page, re.MULTILINE | re.DOTALL))
    for path in (repository / "data_schema").glob("*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        if path.stem == "workflow":
            for name in schema["properties"]:
                assert f"| `{name}` |" in page
            continue
        section = sections[path.stem]
        for name, column in schema["properties"].items():
            (row,) = re.findall(rf"^\| `{name}` \|.*$", section, re.MULTILINE)
            assert column["description"].replace("|", "\\|") in row
            assert f"| {column.get('unit', '')} |" in row
            assert all(f"`{value}`" in row for value in column.get("enum", ()) if value)


def test_every_link_within_the_project_leads_somewhere(repository: Path) -> None:
    pages = [repository / "README.md", repository / "CONTRIBUTING.md", *(repository / "docs").glob("*.md")]
    dead = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert dead == []
