"""radpipe's maps beside pyradiomics' voxel mode, in one run:  .venv/bin/python benchmarks/maps.py [--pyradiomics PYTHON] [--write]

CPU seconds of a family's maps of the same region, voxelBatch 500, one thread: in three fresh processes on either side, in turn,
each family is called until half a second of CPU time has gone by (at least once), and the median call counts; the figure is
the median of the three. The ratio is the result, and no test times anything. pyradiomics runs under the Python that has it
(`make pyradiomics`). --write puts the tables into docs/benchmarks.md below "## Voxel-wise maps" and leaves the rest of the page
alone. The whole takes some eight minutes on a quiet machine; --only threads (and the like) makes one table.
"""
# ruff: noqa: E402 (threads are set before anything that starts them is imported)

from __future__ import annotations

import argparse
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ[name] = "1"

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from pages import put_section

ROOT = Path(__file__).resolve().parents[1]
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

Job = tuple[str, bool]
"""(family, maskedKernel)."""
ENOUGH_S = 0.5


def repeated(call: Callable[[], Any]) -> float:
    """CPU seconds of the median call."""
    spent: list[float] = []
    while sum(spent) < ENOUGH_S:
        start = time.process_time()
        call()
        spent.append(time.process_time() - start)
    return median(spent)


def run_pyradiomics(data: Path, name: str, radius: int, jobs: list[Job]) -> list[float]:
    import logging
    import warnings

    warnings.simplefilter("ignore")
    from radiomics import featureextractor

    logging.getLogger("radiomics").setLevel(logging.CRITICAL)
    found = []
    for family, masked in jobs:
        image, mask = region(data, name, family)
        extractor = featureextractor.RadiomicsFeatureExtractor(parameters(name, (family,), radius, masked))
        with np.errstate(all="ignore"):
            found.append(repeated(lambda: extractor.execute(image, mask, voxelBased=True)))  # noqa: B023 (called at once)
    return found


def run_radpipe(data: Path, name: str, radius: int, jobs: list[Job]) -> list[tuple[float, int]]:
    """(seconds, voxels) of each."""
    from radpipe.features import FeatureSettings, extract_maps

    sys.path.append(str(ROOT / "tests" / "reference"))
    from pyradiomics_cases import from_itk

    found = []
    for family, masked in jobs:
        image, mask = from_itk(*region(data, name, family))
        settings = FeatureSettings(params=parameters(name, (family,), radius, masked))
        extract_maps(*small(), settings)  # reads the compiled code from the disk
        seconds = repeated(lambda: extract_maps(image, mask, settings))  # noqa: B023 (called at once)
        found.append((seconds, int(mask.voxels.sum())))
    return found


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


def large() -> tuple[Any, Any]:
    """A ball of 250,000 voxels in a CT-like image of 128 x 128 x 100."""
    from radpipe.core.grid import Grid
    from radpipe.core.image import Image, Mask

    z, y, x = np.indices((100, 128, 128), dtype=np.float32)
    ball = (z - 50) ** 2 + (y - 64) ** 2 + (x - 64) ** 2 <= 39.1**2
    noise = np.random.default_rng(0).normal(0, 12, ball.shape)
    voxels = np.where(ball, 40 + 60 * np.sin(0.2 * x + 0.1 * y), -20) + noise
    grid = Grid(ball.shape, (2.5, 0.9, 0.9))
    return Image(grid, voxels.astype(np.int16), "HU"), Mask(grid, ball)


def everything() -> Any:
    from radpipe.features import FeatureSettings

    return FeatureSettings(params={"featureClass": dict.fromkeys(FAMILIES)})


def run_threads(threads: int) -> dict[str, float]:
    """Wall clock of all families of the large region; the share of it that is spent in blocks, which threads share out, and in kernels,
    which run without the GIL."""
    from radpipe.features import extract_maps, maps
    from radpipe.features._kernels import window_cooccurrence, window_firstorder, window_neighbourhood, window_runs, window_zones

    extract_maps(*small(), everything())

    def timed(function: Callable[..., None], spent: list[float]) -> Callable[..., None]:
        def call(*given: Any) -> None:
            start = time.perf_counter()
            function(*given)
            spent.append(time.perf_counter() - start)

        return call

    in_kernels: list[float] = []
    in_blocks: list[float] = []
    maps._fill = timed(maps._fill, in_blocks)

    for module, name in (
        (window_cooccurrence, "window_glcm"), (window_firstorder, "window_firstorder"), (window_neighbourhood, "window_neighbourhood"),
        (window_runs, "window_runs"), (window_zones, "window_zones"),
    ):  # fmt: skip
        setattr(module, name, timed(getattr(module, name), in_kernels))
    image, mask = large()
    start = time.perf_counter()
    extract_maps(image, mask, everything(), threads=threads)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "in_blocks": sum(in_blocks) / seconds, "in_kernels": sum(in_kernels) / seconds}


def run_write_large(folder: str) -> None:
    """The large region as the command reads it."""
    from radpipe.io.volumes import write_image, write_mask

    image, mask = large()
    write_image(Path(folder) / "image.nii.gz", image)
    write_mask(Path(folder) / "mask.nii.gz", mask)


def command_peak(folder: Path, families: tuple[str, ...], layout: str, threads: int) -> dict[str, float]:
    """Peak resident memory of ``radpipe extract --mode voxel`` and every process it starts, bytes; its CPU seconds."""
    params = folder / "params.json"
    params.write_text(json.dumps({"featureClass": dict.fromkeys(families)}))
    command = [sys.executable, "-m", "radpipe", "extract", "--mode", "voxel", "image.nii.gz", "mask.nii.gz", "-p", "params.json",
               "-o", "maps", "--format", layout, "--threads", str(threads), "--quiet"]  # fmt: skip
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.stderr is not None
        if process.returncode:
            sys.exit(process.stderr.read().decode()[-2000:])
    shutil.rmtree(folder / "maps")
    return {"peak": used.ru_maxrss * (1024 if sys.platform == "linux" else 1), "seconds": used.ru_utime + used.ru_stime}


def fresh(python: str, *job: Any, environment: dict[str, str] | None = None) -> Any:
    command = [python, str(Path(__file__).resolve()), "--job", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})})
    if done.returncode:
        sys.exit(f"{job[0]} ended with status {done.returncode}.\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def families_table(data: Path, pyradiomics: str | None, repeats: int) -> Iterator[str]:
    yield "| case | voxels | kernel | radius | family | radpipe, us a voxel | pyradiomics, us a voxel | times faster | asked |"
    yield "|---|---|---|---|---|---|---|---|---|"
    jobs: list[Job] = [(family, masked) for family in FAMILIES for masked in ((True, False) if family == "glcm" else (True,))]
    for name, (stem, (image_name, _), _, _) in CASES.items():
        if not (data / stem.format(image_name)).is_file():
            continue
        for radius in (1, 2):
            mine, theirs = [], []
            for _ in range(repeats):
                mine.append(fresh(sys.executable, "run_radpipe", str(data), name, radius, jobs))
                if pyradiomics is not None:
                    theirs.append(fresh(pyradiomics, "run_pyradiomics", str(data), name, radius, jobs))
            for place, (family, masked) in enumerate(jobs):
                voxels = mine[0][place][1]
                own = median(run[place][0] for run in mine) / voxels * 1e6
                goal = GOALS[family][radius - 1]
                line = f"| {name} | {voxels:,} | {'masked' if masked else 'all voxels'} | {radius} | {family} | {own:.1f} |"
                if pyradiomics is None:
                    yield f"{line} not installed (`make pyradiomics`) | | |"
                    continue
                other = median(run[place] for run in theirs) / voxels * 1e6
                yield f"{line} {other:,.0f} | {other / own:.0f} | {'' if goal is None else goal} |"


def threads_table(data: Path, pyradiomics: str | None, repeats: int) -> Iterator[str]:
    yield "| all families, 250,000 voxels, radius 1 | one thread | two threads | times faster | in blocks, which threads share | in kernels |"
    yield "|---|---|---|---|---|---|"
    # In turn, so that whatever else the machine does falls on both; the best of each is least disturbed.
    runs = [[fresh(sys.executable, "run_threads", n) for n in (1, 2)] for _ in range(repeats)]
    one, two = (min(pair[k]["seconds"] for pair in runs) for k in (0, 1))
    least = min((pair[0] for pair in runs), key=lambda run: run["seconds"])
    shares = f"{100 * least['in_blocks']:.1f} % | {100 * least['in_kernels']:.1f} %"
    yield f"| wall clock, best of {repeats} fresh processes each | {one:.2f} s | {two:.2f} s | {one / two:.2f} | {shares} |"


def memory_table(data: Path, pyradiomics: str | None, repeats: int) -> Iterator[str]:
    yield "| `radpipe extract --mode voxel`, 250,000 voxels, radius 1 | format | threads | peak memory of its largest process | CPU |"
    yield "|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        fresh(sys.executable, "run_write_large", folder)
        for families, layout, threads in (
            (("glcm",), "nrrd", 1), (FAMILIES, "nrrd", 1), (FAMILIES, "nrrd", 2), (FAMILIES, "nifti", 2), (FAMILIES, "zarr", 2),
        ):  # fmt: skip
            found = command_peak(Path(folder), families, layout, threads)
            what = "all families" if families is FAMILIES else ", ".join(families)
            yield f"| {what} | {layout} | {threads} | {found['peak'] / 1e6:.0f} MB | {found['seconds']:.0f} s |"


def compiling_table(data: Path, pyradiomics: str | None, repeats: int) -> Iterator[str]:
    yield "| first maps ever on a machine: what compiling adds (CPU) | a later process, start to end (CPU) |"
    yield "|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        first, later = (
            fresh(sys.executable, "run_first_use", environment={"NUMBA_CACHE_DIR": folder})["seconds"] for _ in range(2)
        )
    yield f"| {first - later:.1f} s | {later:.1f} s |"


TABLES = {"families": families_table, "threads": threads_table, "memory": memory_table, "compiling": compiling_table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RADPIPE_DATA", ROOT.parent / "shared" / "data")))
    parser.add_argument("--pyradiomics", help="the Python that has pyradiomics, where it is not this one")
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes each")
    parser.add_argument("--only", choices=list(TABLES), action="append", help="this table alone; may be repeated")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        job, *given = json.loads(arguments.job)
        if job in ("run_radpipe", "run_pyradiomics"):
            given[0] = Path(given[0])
        print(json.dumps(globals()[job](*given)))
        return
    if arguments.write and arguments.only:
        parser.error("--write writes all tables; leave --only out")
    pyradiomics = arguments.pyradiomics
    if pyradiomics is None and importlib.util.find_spec("radiomics") is not None:
        pyradiomics = sys.executable
    began = time.monotonic()
    fresh(sys.executable, "run_first_use")  # compiles what is not compiled yet
    lines = [
        "`benchmarks/maps.py --write` remakes this section. Families: CPU time of a family's maps of the same region, one thread, voxelBatch",
        "500, the median of three fresh processes on either side, each of which takes the median of its calls within half a second. With a",
        "masked kernel pyradiomics 3.0.1 gives up MCC for whole batches, and the time for it is not in its figure; radpipe's figure holds it.",
        "",
    ]
    print("\n".join(lines))
    for name in arguments.only or TABLES:
        for row in TABLES[name](arguments.data, pyradiomics, arguments.repeats):
            lines.append(row)
            print(row, flush=True)
        lines.append("")
        print(flush=True)
    print(f"{time.monotonic() - began:.0f} s in all")
    if arguments.write:
        put_section("benchmarks.md", TITLE, lines[:-1], f"numpy {np.__version__}")


if __name__ == "__main__":
    main()
