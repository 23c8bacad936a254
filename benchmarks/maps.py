"""radpipe's maps beside pyradiomics' voxel mode, in one run:  .venv/bin/python benchmarks/maps.py [--pyradiomics PYTHON] [--write]

CPU seconds of the family's own work on the same region, voxelBatch 500, one thread, median of three fresh processes on either side;
the ratio is the result, and no test times anything. pyradiomics runs under the Python that has it (`make pyradiomics`). --write puts
the tables into docs/benchmarks.md below "## Voxel-wise maps" and leaves the rest of the page alone.
"""
# ruff: noqa: E402 (threads are set before anything that starts them is imported)

from __future__ import annotations

import argparse
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ[name] = "1"

import importlib.util
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
TITLE = "## Voxel-wise maps"
FAMILIES = ("firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
SLOW = ("firstorder", "glcm")  # pyradiomics: 1 to 10 ms a voxel
# What the maps were asked to reach: family -> (radius 1, radius 2).
GOALS = {
    "firstorder": (30, None),
    "glcm": (130, 40),
    "glrlm": (30, None),
    "glszm": (30, 15),
    "gldm": (20, None),
    "ngtdm": (30, None),
}
# name -> (file stem, bin width, part of the region (z, y, x) in which there are some 1,000 voxels).
CASES = {
    "brain1 (MR)": ("pyradiomics_cases/brain1_{}.nrrd", ("image", "label"), 25.0, ((12, 16), (92, 112), (184, 204))),
    "STS_010 PET": ("sts/images/STS_010/PET_{}.nii.gz", ("image", "mask"), 0.25, None),
}


def region(data: Path, name: str, family: str) -> tuple[Any, Any]:
    """(image, mask) in SimpleITK's types; cut to some 1,000 voxels where pyradiomics would take minutes for the whole region."""
    import SimpleITK as sitk

    stem, (image_name, mask_name), _, part = CASES[name]
    image, mask = (sitk.ReadImage(str(data / stem.format(which))) for which in (image_name, mask_name))
    inside = sitk.GetArrayFromImage(mask) != 0
    if family not in SLOW:
        part = tuple((0, size) for size in inside.shape)
    if part is None:
        middle = np.argwhere(inside).mean(axis=0).round().astype(int)
        part = tuple((at - half, at + half + 1) for at, half in zip(middle, (4, 5, 5), strict=True))
    kept = np.zeros(inside.shape, np.uint8)
    box = tuple(slice(*side) for side in part)
    kept[box] = inside[box]
    cut = sitk.GetImageFromArray(kept)
    cut.CopyInformation(image)
    return image, cut


def parameters(name: str, families: tuple[str, ...], radius: int, masked: bool) -> dict[str, Any]:
    return {
        "setting": {"binWidth": CASES[name][2]},
        "voxelSetting": {"kernelRadius": radius, "maskedKernel": masked, "voxelBatch": 500},
        "featureClass": dict.fromkeys(families),
    }


# What runs in a process of its own: each prints one line of JSON.


def run_pyradiomics(data: Path, name: str, family: str, radius: int, masked: bool) -> dict[str, float]:
    import logging
    import warnings

    import SimpleITK as sitk

    warnings.simplefilter("ignore")
    from radiomics import featureextractor

    logging.getLogger("radiomics").setLevel(logging.CRITICAL)
    image, mask = region(data, name, family)
    extractor = featureextractor.RadiomicsFeatureExtractor(parameters(name, (family,), radius, masked))
    start = time.process_time()
    with np.errstate(all="ignore"):
        extractor.execute(image, mask, voxelBased=True)
    return {"seconds": time.process_time() - start, "voxels": int(sitk.GetArrayFromImage(mask).sum())}


def run_radpipe(data: Path, name: str, family: str, radius: int, masked: bool) -> dict[str, float]:
    from radpipe.features import FeatureSettings, extract_maps

    sys.path.append(str(ROOT / "tests" / "reference"))
    from pyradiomics_cases import from_itk

    image, mask = from_itk(*region(data, name, family))
    settings = FeatureSettings(params=parameters(name, (family,), radius, masked))
    extract_maps(*small(), settings)  # reads the compiled code from the disk
    start = time.process_time()
    maps = extract_maps(image, mask, settings)
    return {"seconds": time.process_time() - start, "voxels": len(maps.centres)}


def small() -> tuple[Any, Any]:
    from radpipe.core.grid import Grid
    from radpipe.core.image import Image, Mask

    z, y, x = np.indices((8, 8, 8))
    grid = Grid(z.shape, (1.0, 1.0, 1.0))
    return Image(grid, (7 * x + 11 * y + 13 * z) % 300), Mask(grid, np.ones(z.shape, bool))


def run_first_use() -> dict[str, float]:
    from radpipe.features import FeatureSettings, extract_maps

    extract_maps(*small(), FeatureSettings(params={"featureClass": dict.fromkeys(FAMILIES)}))
    return {"seconds": time.process_time()}


def run_threads(data: Path, threads: int) -> dict[str, float]:
    """Wall clock of all families on all of brain1 (three turns, the best), as a share of nothing else running."""
    from radpipe.features import FeatureSettings, extract_maps

    sys.path.append(str(ROOT / "tests" / "reference"))
    import SimpleITK as sitk
    from pyradiomics_cases import from_itk

    stem = str(data / "pyradiomics_cases" / "brain1")
    image, mask = from_itk(sitk.ReadImage(f"{stem}_image.nrrd"), sitk.ReadImage(f"{stem}_label.nrrd"))
    settings = FeatureSettings(params={**parameters("brain1 (MR)", FAMILIES, 2, True)})
    extract_maps(*small(), settings)
    turns = []
    for _ in range(3):
        start = time.perf_counter()
        extract_maps(image, mask, settings, threads=threads)
        turns.append(time.perf_counter() - start)
    return {"seconds": min(turns)}


def run_memory() -> dict[str, float]:
    """All families of a ball of 250,000 voxels in an image that holds it, block by block, as a command writes them."""
    import resource

    from radpipe.core.grid import Grid
    from radpipe.core.image import Image, Mask
    from radpipe.features import FeatureSettings
    from radpipe.features.maps import computed, plan_maps

    z, y, x = np.indices((84, 84, 84))
    ball = (z - 41.5) ** 2 + (y - 41.5) ** 2 + (x - 41.5) ** 2 <= 39.1**2
    waves = 100 * np.sin(0.3 * x + 0.2 * y) * np.cos(0.25 * z) + 3 * ((7 * x + 11 * y + 13 * z) % 31)
    del z, y, x
    grid = Grid(ball.shape, (1.0, 1.0, 1.0))
    image, mask = Image(grid, waves.astype(np.float32)), Mask(grid, ball)
    del waves
    unit = 1024 if sys.platform == "linux" else 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    start = time.process_time()
    plan = plan_maps(image, mask, FeatureSettings(params={"featureClass": dict.fromkeys(FAMILIES)}))
    for _ in computed(plan):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"peak": peak, "before": before, "voxels": len(plan.centres), "seconds": time.process_time() - start}


def fresh(python: str, *job: Any, environment: dict[str, str] | None = None) -> dict[str, float]:
    command = [python, str(Path(__file__).resolve()), "--job", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})})
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def side_by_side(data: Path, pyradiomics: str | None, repeats: int) -> Iterator[str]:
    yield "| case | voxels | kernel | radius | family | radpipe, us a voxel | pyradiomics, us a voxel | times faster | goal |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, (stem, (image_name, _), _, _) in CASES.items():
        if not (data / stem.format(image_name)).is_file():
            continue
        for radius in (1, 2):
            for family in FAMILIES:
                for masked in (True, False) if family == "glcm" else (True,):
                    job = (str(data), name, family, radius, masked)
                    ours = [fresh(sys.executable, "run_radpipe", *job) for _ in range(repeats)]
                    voxels = ours[0]["voxels"]
                    mine = median(run["seconds"] for run in ours) / voxels * 1e6
                    goal = GOALS[family][radius - 1]
                    kernel = "masked" if masked else "all voxels"
                    line = f"| {name} | {voxels:,} | {kernel} | {radius} | {family} | {mine:.1f} |"
                    if pyradiomics is None:
                        yield f"{line} not installed (`make pyradiomics`) | | |"
                        continue
                    theirs = [fresh(pyradiomics, "run_pyradiomics", *job)["seconds"] for _ in range(repeats)]
                    other = median(theirs) / voxels * 1e6
                    yield f"{line} {other:,.0f} | {other / mine:.0f} | {'' if goal is None else goal} |"


def other_tables(data: Path) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    if (data / "pyradiomics_cases").is_dir():
        one, two = (fresh(sys.executable, "run_threads", str(data), n)["seconds"] for n in (1, 2))
        yield f"| all families of brain1, radius 2: one thread, two threads (wall clock; busy machines spoil it) | {one:.2f} s, {two:.2f} s: "
        yield f"{one / two:.2f} times faster |"
    found = fresh(sys.executable, "run_memory")
    yield f"| peak memory of the process, all families of {found['voxels']:,} voxels, radius 1, one thread | {found['peak'] / 1e6:.0f} MB, "
    yield f"of which {found['before'] / 1e6:.0f} MB before the first map; {found['seconds']:.0f} s CPU |"
    with tempfile.TemporaryDirectory() as folder:
        first, later = (
            fresh(sys.executable, "run_first_use", environment={"NUMBA_CACHE_DIR": folder})["seconds"] for _ in range(2)
        )
    yield f"| first maps ever on a machine: compiling (CPU); a later process, start to end | {first - later:.1f} s; {later:.1f} s |"


def write(lines: list[str]) -> None:
    """Put the section into the page, in its old place or at the end."""
    page = PAGE.read_text()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}"
    head, found, rest = page.partition(f"\n{TITLE}\n")
    _, following, after = rest.partition("\n## ") if found else ("", "", "")
    body = "\n".join(["", TITLE, "", *lines, "", f"Measured on {machine}.", ""])
    PAGE.write_text(head.rstrip("\n") + "\n" + body + (following + after if following else ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RADPIPE_DATA", ROOT.parent / "shared" / "data")))
    parser.add_argument("--pyradiomics", help="the Python that has pyradiomics, where it is not this one")
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes each")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        job, *given = json.loads(arguments.job)
        if job in ("run_radpipe", "run_pyradiomics", "run_threads"):
            given[0] = Path(given[0])
        print(json.dumps(globals()[job](*given)))
        return
    pyradiomics = arguments.pyradiomics
    if pyradiomics is None and importlib.util.find_spec("radiomics") is not None:
        pyradiomics = sys.executable
    lines = [
        "`benchmarks/maps.py --write` remakes this section: CPU time of a family's maps on the same region, one thread, voxelBatch 500,",
        "median of three fresh processes on either side. With a masked kernel pyradiomics 3.0.1 gives up MCC for whole batches, and the",
        "time for it is not in its figure; radpipe's figure holds it.",
        "",
    ]
    print("\n".join(lines))
    for table in (side_by_side(arguments.data, pyradiomics, arguments.repeats), other_tables(arguments.data)):
        row = ""
        for part in table:
            row += part
            if row.endswith("|"):
                lines.append(row)
                print(row, flush=True)
                row = ""
        lines.append("")
        print()
    if arguments.write:
        write(lines[:-1])


if __name__ == "__main__":
    main()
