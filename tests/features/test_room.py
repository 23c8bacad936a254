"""The dictionary, the registry, the cache of compiled kernels, and what an import costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.core.registry import lookup
from radpipe.core.tables import FEATURE_DICTIONARY, make_table
from radpipe.errors import ConfigError
from radpipe.features import extract_maps
from radpipe.features._kernels import _jit
from radpipe.features.config import FeatureSettings
from radpipe.features.dictionary import feature_dictionary, settings_key
from radpipe.features.extract import extract_row, warm_up
from radpipe.features.map_ibsi import MAPPED
from radpipe.features.registry import FAMILIES


@pytest.mark.timeout(1200)  # it compiles, in minutes where others use the machine
@pytest.mark.parametrize("image_levels", ["few", "many"])
def test_rows_and_maps_of_both_engines_in_one_process(image_levels):
    """Every feature of a small region, and of the window around each of its voxels, in every way that has kernels of its own.

    The first of all tests: what it compiles, all other processes find (tests/conftest.py).
    """
    grid = Grid((7, 7, 7), (3.0, 1.5, 0.8))
    z, y, x = np.indices(grid.shape)
    grey = {"few": (z * 7 + y * 5 + x * 3) % 11, "many": z * 49 + y * 7 + x}[image_levels]
    image, mask = Image(grid, grey * 25.0), Mask(grid, (z - 3) ** 2 + (y - 3) ** 2 + (x - 3) ** 2 <= 6)
    filtered = {"imageType": {"Original": {}, "Wavelet": {}, "LoG": {"sigma": [2.0]}}}
    weighted = {"setting": {"weightingNorm": "euclidean"}}
    bins = {"discretise": {"method": "fbn", "bins": 6}}
    for wanted in (
        FeatureSettings(params=filtered),
        FeatureSettings(params=weighted),
        FeatureSettings(feature_set="ibsi", params=bins),
    ):
        row = extract_row(image, mask, wanted)
        assert np.isfinite(row["original_stat_MeanIntensity" if wanted.feature_set == "ibsi" else "original_firstorder_Mean"])
        assert np.isfinite(list(row.values())).mean() > 0.95
    for wanted in (
        FeatureSettings(),
        FeatureSettings(params=weighted),
        FeatureSettings(feature_set="ibsi", params={"families": list(MAPPED), **bins}),
    ):
        maps = extract_maps(image, mask, wanted)
        assert len(maps.centres) == mask.voxels.sum() and np.isfinite(maps.data).mean() > 0.95


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_states_its_facts(name):
    family = lookup(FAMILIES, name, "feature class")
    assert family.name == name
    names = [feature.name for feature in family.features]
    assert len(set(names)) == len(names)
    for feature in family.features:
        assert feature.meaning.endswith(".") and len(feature.meaning) > 12
        assert feature.ibsi == "" or (len(feature.ibsi) == 4 and feature.ibsi.isupper()) or feature.ibsi.isalnum()
        assert feature.unit
        if isinstance(feature.scale, tuple):
            assert feature.scale[0] in names
    tags = [feature.ibsi for feature in family.features if feature.ibsi]
    assert len(set(tags)) == len(tags)


def test_tags_are_ibsis(shared_data):
    import csv

    with (shared_data / "ibsi1" / "ibsi1_reference_values.csv").open(newline="") as file:
        known = {row["feature_code"] for row in csv.DictReader(file)}
    ours = {feature.ibsi for name in FAMILIES for feature in lookup(FAMILIES, name, "feature class").features}
    assert ours - known == {""}


def test_dictionary_describes_the_row(phantom):
    settings = FeatureSettings(params={"featureClass": {"glcm": ["MCC"], "shape": None, "firstorder": ["StandardDeviation"]}})
    entries = feature_dictionary(settings)
    assert [entry["name"] for entry in entries] == list(extract_row(*phantom, settings))
    table = make_table(FEATURE_DICTIONARY, entries)
    assert set(table["convention"]) == {"pyradiomics"}
    assert set(table["image_type"]) == {"original"}
    assert set(table["settings_key"]) == {settings_key(settings)}
    assert entries[0]["source"].startswith("radpipe ")


def test_settings_key_is_of_the_settings_and_not_of_how_they_are_written():
    same = [
        {},
        {"setting": {}},
        {"setting": {"binWidth": 25}},
        {"setting": {"binWidth": 25.0, "sigma": [1.0]}, "imageType": {"Original": {}}},
    ]
    assert len({settings_key(FeatureSettings(params=params)) for params in same}) == 1
    assert settings_key(FeatureSettings(params={"setting": {"binWidth": 24}})) != settings_key(FeatureSettings())


def test_dictionary_names_columns_of_filters():
    entry = feature_dictionary(FeatureSettings(), ["log-sigma-1-0-mm-3D_glcm_Contrast", "wavelet-LLH_firstorder_10Percentile"])
    assert [row["image_type"] for row in entry] == ["log-sigma-1-0-mm-3D", "wavelet-LLH"]
    with pytest.raises(ConfigError, match="no feature"):
        feature_dictionary(FeatureSettings(), ["original_glcm_Unheard"])


def test_pyradiomics_engine_says_how_to_install(phantom):
    try:
        import radiomics  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match="make pyradiomics"):
            extract_row(*phantom, FeatureSettings(engine="pyradiomics"))
    else:
        pytest.skip("pyradiomics is installed")


def kernels():
    import importlib
    import pkgutil

    import radpipe.features._kernels as package

    for module in pkgutil.iter_modules(package.__path__):
        content = vars(importlib.import_module(f"{package.__name__}.{module.name}"))
        for name, value in content.items():
            if hasattr(value, "py_func") and value.__module__ == f"{package.__name__}.{module.name}":
                yield name, value


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="kernels run as plain Python")
def test_warm_up_leaves_nothing_to_compile(phantom, pair):
    warm_up()
    before = {name: len(kernel.signatures) for name, kernel in kernels()}
    compiled = {name: sum(kernel.stats.cache_misses.values()) for name, kernel in kernels()}
    assert sum(count > 0 for count in before.values()) >= 12, before  # helpers of other kernels need none of their own
    image, mask = phantom
    for dtype in (np.uint8, np.int64, np.float32, ">i2"):
        extract_row(*pair(image.voxels.astype(dtype), np.asfortranarray(mask.voxels)), FeatureSettings())
    rare = {
        "binCount": 7,
        "distances": [1, 2],
        "weightingNorm": "euclidean",
        "force2D": True,
        "symmetricalGLCM": False,
        "gldm_a": 1,
    }
    extract_row(image, mask, FeatureSettings(params={"setting": rare}))
    # Of a cached kernel those that it calls are loaded with it; what Python calls of these is loaded then, and not compiled.
    assert {name: len(kernel.signatures) for name, kernel in kernels() if before[name]} == {n: k for n, k in before.items() if k}
    assert {name: sum(kernel.stats.cache_misses.values()) for name, kernel in kernels()} == compiled


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_compiles_nothing_and_brings_in_nothing_heavy():
    code = (
        "import sys, json, radpipe.features.extract as e\n"
        "from radpipe.features._kernels import cells\n"
        "heavy = ('torch', 'dask', 'matplotlib', 'sklearn', 'scipy.spatial', 'pandas', 'SimpleITK', 'monai', 'pyarrow')\n"
        "print(json.dumps([[name for name in heavy if name in sys.modules], len(cells.count_codes.signatures)]))"
    )
    assert json.loads(run(code)) == [[], 0]


def test_settings_are_cheap_to_import():
    code = (
        "import sys, radpipe.features.config\n"
        "print([m for m in ('numba', 'scipy', 'pandas', 'torch', 'SimpleITK') if m in sys.modules])"
    )
    assert run(code).strip() == "[]"


def test_kernels_are_cached_in_a_folder_of_their_own(tmp_path):
    code = (
        "import numpy as np\n"
        "from radpipe.features._kernels import _jit\n"
        "from radpipe.features._kernels.runs import run_counts\n"
        "found = run_counts(np.array([0, 1, 1, 0], np.int32), np.array([1, 2]), np.int64(1), 1, 2, np.zeros(4, np.int32))\n"
        "print(sum(run_counts.stats.cache_hits.values()), _jit._FOLDER, *found[:3])"
    )
    first = run(code, NUMBA_CACHE_DIR=str(tmp_path)).split()
    second = run(code, NUMBA_CACHE_DIR=str(tmp_path)).split()
    assert (first[0], second[0]) == ("0", "1")
    assert first[2:] == second[2:] == ["[1]", "[2]", "[1]"]  # one run of two voxels
    assert Path(second[1]) == tmp_path / "radpipe" / f"kernels-{_jit.cache_key()}"
    assert list(Path(second[1]).rglob("*.nbi"))


def test_cached_kernels_do_without_the_compiler():
    extract = "from radpipe.features.extract import warm_up; warm_up()\n"
    heavy = "print([m for m in ('numba.np.arraymath', 'numba.np.npyimpl', 'numba.typed.typeddict', 'scipy.linalg') if m in sys.modules])"
    run(extract)  # compiled here at the latest
    assert run(f"import sys; {extract}{heavy}").strip() == "[]"
    # ... and what is compiled after others came from the cache finds all that it needs.
    mixed = (
        f"{extract}import numba, numpy as np\n"
        "from radpipe.features._kernels.cells import total_of\n"
        "print(numba.njit(lambda x: total_of(x * 2) + np.median(x))(np.arange(5.0)))"
    )
    assert run(mixed).strip() == "22.0"


def test_an_edited_kernel_has_another_cache(tmp_path, monkeypatch):
    for source in Path(_jit.__file__).parent.glob("*.py"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr(_jit, "__file__", str(tmp_path / "_jit.py"))
    before = _jit.cache_key()
    (tmp_path / "levelsize.py").write_text((tmp_path / "levelsize.py").read_text() + "\n# edited\n")
    assert _jit.cache_key() != before


def test_cache_passes_by_places_it_must_not_use(tmp_path, monkeypatch):
    shut, open_to_all, ours = tmp_path / "file", tmp_path / "open", tmp_path / "ours"
    shut.write_text("not a folder")
    monkeypatch.setattr(_jit, "_places", lambda: [shut, open_to_all, ours])
    found = _jit.cache_folder()
    assert found is not None and found.parent == open_to_all
    found.chmod(0o777)  # anybody could have put code there
    again = _jit.cache_folder()
    assert again is not None and again.parent == ours
    monkeypatch.setattr(_jit, "_places", lambda: [shut])
    assert _jit.cache_folder() is None
