"""docs/from_pyradiomics.md: every command and every script on the page runs, in a folder that has the files it names."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[1] / "reference"
sys.path.insert(0, str(REFERENCE))
from small_volumes import write_small_volumes  # noqa: E402

PAGE = (Path(__file__).parents[2] / "docs" / "from_pyradiomics.md").read_text()
LAYOUTS = json.loads((REFERENCE / "compat_layouts.json").read_text())
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines() if line]
SCRIPTS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page")
    write_small_volumes(path)
    (path / "batch.csv").write_text("".join(LAYOUTS["batch"].splitlines(keepends=True)[:3]))
    (path / "old.csv").write_text("".join(LAYOUTS["csv"].splitlines(keepends=True)[:3]))
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command(folder: Path, radpipe_here, command: str) -> None:
    program, *arguments = shlex.split(command)
    assert program == "radpipe"
    done = radpipe_here(*arguments, cwd=folder)
    out = arguments[arguments.index("-o") + 1] if "-o" in arguments else None
    assert (folder / out).stat().st_size > 100 if out else done.stdout or "--validate" in arguments


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str) -> None:
    monkeypatch.chdir(folder)
    exec(script, {})
    assert len(capsys.readouterr().out.split()) == 2


def test_there_are_as_many_as_the_page_shows() -> None:
    assert len(COMMANDS) == 7 and len(SCRIPTS) == 2
