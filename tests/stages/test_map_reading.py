"""Reading for maps in a process of its own: the same voxels, errors that travel, a child that dies."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import FileProblem, RunError
from radpipe.features import FeatureSettings
from radpipe.io.volumes import write_image, write_mask
from radpipe.stages import map_reading
from radpipe.stages.cases import single_case
from radpipe.stages.map_reading import MapCase, _received, _send, read_case, read_here

GRID = Grid((20, 30, 40), (3.0, 2.0, 1.5), (10.0, -20.0, 30.0), (0.6, 0.8, 0.0, -0.8, 0.6, 0.0, 0.0, 0.0, 1.0))
# What a process that has not loaded ITK does, and what it must not have loaded afterwards.
SCRIPT = """
import pickle, sys
from pathlib import Path
from radpipe.features.config import FeatureSettings
from radpipe.stages.cases import single_case
from radpipe.stages.map_reading import read_case
for image in sys.argv[1:3]:
    case = single_case(Path(image), Path(sys.argv[3])).cases[0]
    try:
        found = read_case(case, FeatureSettings())
    except Exception as error:
        found = error
    sys.stdout.buffer.write(pickle.dumps(found))
loaded = [name for name in ("SimpleITK", "numba") if name in sys.modules]
sys.stdout.buffer.write(pickle.dumps(loaded))
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    voxels = np.random.default_rng(0).integers(-500, 500, GRID.shape).astype(np.int16)
    inside = np.zeros(GRID.shape, bool)
    inside[3:8, 0:9, 20:40] = True
    write_image(tmp_path / "image.nii.gz", Image(GRID, voxels))
    write_mask(tmp_path / "mask.nii.gz", Mask(GRID, inside))
    return tmp_path / "image.nii.gz", tmp_path / "mask.nii.gz"


def same(one: MapCase, other: MapCase) -> None:
    assert one.grid == other.grid and one.image.grid == other.image.grid == one.mask.grid == other.mask.grid
    assert one.image.unit == other.image.unit and one.image.voxels.dtype == other.image.voxels.dtype
    np.testing.assert_array_equal(one.image.voxels, other.image.voxels)
    np.testing.assert_array_equal(one.mask.voxels, other.mask.voxels)


def test_a_process_without_itk_gets_the_same_voxels_and_the_same_error(files: tuple[Path, Path], tmp_path: Path) -> None:
    image, mask = files
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(image.read_bytes()[:-100])
    done = subprocess.run([sys.executable, "-c", SCRIPT, image, broken, mask], capture_output=True, check=True)
    stream = io.BytesIO(done.stdout)
    found, error, loaded = (pickle.load(stream) for _ in range(3))
    case = single_case(image, mask).cases[0]
    same(found, read_here(case, FeatureSettings()))
    assert found.image.voxels.shape == (7, 10, 21)  # the region, and a voxel around it as far as the image goes
    assert found.image.voxels.flags.writeable
    with pytest.raises(FileProblem) as expected:
        read_here(single_case(broken, mask).cases[0], FeatureSettings())
    assert type(error) is FileProblem and str(error) == str(expected.value)
    assert loaded == []


def test_a_child_that_dies_is_named(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "SimpleITK")
    for code, words in (("import os; os.kill(os.getpid(), 9)", "signal 9"), ("raise SystemExit(7)", "exit status 7")):
        start = subprocess.Popen
        monkeypatch.setattr(
            map_reading.subprocess, "Popen", lambda command, code=code, start=start, **how: start([command[0], "-c", code], **how)
        )
        with pytest.raises(RunError, match=words) as error:
            read_case(single_case(*files).cases[0], FeatureSettings())
        assert error.value.path == str(files[0]) and "crop the image" in error.value.hint
        monkeypatch.setattr(map_reading.subprocess, "Popen", start)


@pytest.mark.parametrize(
    "what", [np.arange(60000.0).reshape(3, -1), {"a": (np.zeros(0), "text", None)}, FileProblem("x.", hint="y.")]
)
def test_what_is_sent_is_received(what: object) -> None:
    file = io.BytesIO()
    _send(file, what)
    found = _received(io.BytesIO(file.getvalue()))
    assert pickle.dumps(found) == pickle.dumps(what)
    for cut in (0, 5, 20, len(file.getvalue()) - 1):
        with pytest.raises(EOFError):
            _received(io.BytesIO(file.getvalue()[:cut]))
