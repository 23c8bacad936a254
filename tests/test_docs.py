"""Pages that are made from the code are what the code makes."""

from __future__ import annotations

import importlib.util
import json
import math
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load_tool(repository: Path, name: str = "make_docs") -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, repository / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


@pytest.mark.parametrize(
    ("page", "maker"),
    [
        ("features.md", "page"),
        ("data_schema.md", "schema_page"),
        ("arms.md", "arms_page"),
        ("deidentify.md", "deidentify_page"),
    ],
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


def test_the_worked_formula_gives_what_the_text_says(repository: Path) -> None:
    """Two scaled features (0.8, 1.2), two tanh perceptrons, one output, recalibrated: the same with a pocket calculator."""
    page = (repository / "docs" / "arms.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    formula: dict[str, Any] = {}
    exec(code, formula)  # our own page
    told = formula["predict"]({"original_firstorder_Maximum": 14.0, "original_glcm_JointEntropy": 4.6})
    hidden = math.tanh(0.1 + 0.75 * 0.8 + 0.5 * 1.2), math.tanh(-0.2 - 1.25 * 0.8 + 0.25 * 1.2)
    by_hand = 1 / (1 + math.exp(0.1 - 0.9 * (-0.4 + 1.5 * hidden[0] - hidden[1])))
    assert told["p_1"] == pytest.approx(by_hand, abs=1e-12)
    assert f"recalibrated {by_hand:.4f}" in page


def test_the_diagram_of_the_arms_is_what_its_script_draws(repository: Path) -> None:
    drawn = load_tool(repository, "arms_figure").drawn()
    assert (repository / "docs" / "arms.svg").read_text(encoding="utf-8") == drawn, "run: python tools/arms_figure.py"


def test_every_link_within_the_project_leads_somewhere(repository: Path) -> None:
    pages = [repository / "README.md", repository / "CONTRIBUTING.md", *(repository / "docs").glob("*.md")]
    dead = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert dead == []
