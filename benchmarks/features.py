"""radpipe's feature engine beside pyradiomics, in one run:  make benchmarks  (or: .venv/bin/python benchmarks/features.py)

Warm, one thread, CPU seconds of the process; the ratio is the result, and no test times anything. pyradiomics is measured
where it is installed (`make pyradiomics`). --write puts the tables into docs/benchmarks.md.
"""
# ruff: noqa: E402 (threads are set before anything that starts them is imported)

from __future__ import annotations

import argparse
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ[name] = "1"

import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import SimpleITK as sitk
from pages import put_section

ROOT = Path(__file__).resolve().parents[1]
SIGMAS = [1.0, 2.0, 3.0, 4.0, 5.0]
# 18 filtered images: with 93 features each and the 107 of the original, 1,781.
ALL_TYPES: dict[str, dict[str, Any]] = {
    "Original": {}, "LoG": {"sigma": SIGMAS}, "Wavelet": {}, "Square": {}, "SquareRoot": {}, "Logarithm": {}, "Exponential": {},
    "Gradient": {},
}  # fmt: skip
# ... and with local binary patterns, four more: 2,153.
WITH_PATTERNS: dict[str, dict[str, Any]] = {**ALL_TYPES, "LBP2D": {}, "LBP3D": {}}
FILES = {
    "brain1 (MR)": "pyradiomics_cases/brain1_image.nrrd pyradiomics_cases/brain1_label.nrrd",
    "breast1 (MR)": "pyradiomics_cases/breast1_image.nrrd pyradiomics_cases/breast1_label.nrrd",
    "STS_002 PET": "sts/images/STS_002/PET_image.nii.gz sts/images/STS_002/PET_mask.nii.gz",
    "STS_002 CT": "sts/images/STS_002/CT_image.nii.gz sts/images/STS_002/CT_mask.nii.gz",
    "STS_001 MR": "sts/images/STS_001/MR_T1_image.nii.gz sts/images/STS_001/MR_T1_mask.nii.gz",
    "STS_001 CT": "sts/images/STS_001/CT_image.nii.gz sts/images/STS_001/CT_mask.nii.gz",
    "IBSI CT phantom": "ibsi1/ct_phantom_CC-BY-NC/image/phantom.nii.gz ibsi1/ct_phantom_CC-BY-NC/mask/mask.nii.gz",
}
FILTERED = ("small ball", "brain1 (MR)", "STS_002 CT", "STS_001 MR")  # pyradiomics takes minutes for each
PATTERNED = ("small ball", "breast1 (MR)", "STS_002 CT")
LARGE = ("IBSI CT phantom", "STS_001 CT", "STS_001 MR")


def cases(data: Path) -> dict[str, tuple[sitk.Image, sitk.Image]]:
    """name -> (image, mask); only the phantom made by formula where there are no shared data."""
    z, y, x = np.indices((9, 10, 11))
    small = (((z - 4) / 4) ** 2 + ((y - 5) / 4.5) ** 2 + ((x - 5) / 5) ** 2 <= 1).astype(np.uint8)
    waves = (200 + 120 * np.sin(0.9 * x + 0.5 * y) * np.cos(0.7 * z) + 31 * ((7 * x + 11 * y + 13 * z) % 7)).astype(np.int16)
    found = {"small ball": (sitk.GetImageFromArray(waves), sitk.GetImageFromArray(small))}
    for name, files in FILES.items():
        image, mask = (data / file for file in files.split())
        if image.is_file():
            found[name] = sitk.ReadImage(str(image)), sitk.Cast(sitk.ReadImage(str(mask)) != 0, sitk.sitkUInt8)
    return found


def seconds(
    run: Callable[[], object],
    repeats: int,
    clock: Callable[[], float] = time.process_time,
    of: Callable[[list[float]], float] = median,
) -> float:
    """Seconds of a call, after one that is not counted: the median; of the clock on the wall the least, for others use it, too."""
    run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return of(times)


def side_by_side(
    data: Path, names: tuple[str, ...] | None, image_types: dict[str, Any], repeats: tuple[int, int]
) -> Iterator[str]:
    """Rows of a table: radpipe and pyradiomics on the same cases with the same parameters, and how far their values differ."""
    oracle = _oracle()
    from radpipe.features.config import FeatureSettings
    from radpipe.features.extract import extract_row
    from radpipe.features.parity import off

    there = importlib.util.find_spec("radiomics") is not None
    yield "| case | voxels | features | radpipe, ms CPU | pyradiomics, ms CPU | times faster | worst difference, of its bound |"
    yield "|---|---|---|---|---|---|---|"
    warm = False
    for name, (image, mask) in cases(data).items():
        if names is not None and name not in names:
            continue
        width = 0.25 if "PET" in name else 25
        params = {"setting": {"binWidth": width}, "imageType": image_types, "featureClass": dict.fromkeys(oracle.CLASSES)}
        ours, settings = oracle.from_itk(image, mask), FeatureSettings(params=params)
        row = extract_row(*ours, settings)
        mine = seconds(lambda ours=ours, settings=settings: extract_row(*ours, settings), repeats[0])
        line = f"| {name} | {int(ours[1].voxels.sum()):,} | {len(row):,} | {mine * 1e3:,.1f} |"
        if there:
            reference: dict[str, float] = {}
            times = []
            if not warm:  # the first call imports, which is not what is compared
                oracle.pyradiomics_row(image, mask, params)
                warm = True
            for _ in range(repeats[1]):
                start = time.process_time()
                reference = oracle.pyradiomics_row(image, mask, params)
                times.append(time.process_time() - start)
            line += f" {median(times) * 1e3:,.0f} | {median(times) / mine:.0f} | {max(off(row, reference).values()):.1g} |"
        else:
            line += " not installed (`make pyradiomics`) | | |"
        yield line


def threads(data: Path) -> Iterator[str]:
    """Rows of a table: one thread and two in turn, wall clock (the median of many), whole row of the original image and of all image
    types."""
    oracle = _oracle()
    from radpipe.features.config import FeatureSettings
    from radpipe.features.extract import extract_row

    yield "| case | features | one thread, ms | two threads, ms | times faster |"
    yield "|---|---|---|---|---|"
    for name, (image, mask) in cases(data).items():
        if name not in LARGE:
            continue
        for image_types in ({"Original": {}}, ALL_TYPES):
            ours, settings = oracle.from_itk(image, mask), FeatureSettings(params={"imageType": image_types})
            repeats = 121 if len(image_types) == 1 else 9
            taken: dict[int, list[float]] = {1: [], 2: []}
            for turn in range(2 * (repeats + 1)):  # in turn: the machine's speed drifts, and must not favour one side
                n = 1 + turn % 2
                start = time.perf_counter()
                extract_row(*ours, settings, threads=n)
                taken[n].append(time.perf_counter() - start)
            one, two = (median(own[1:]) for own in taken.values())
            count = len(extract_row(*ours, settings))
            yield f"| {name} | {count:,} | {one * 1e3:,.0f} | {two * 1e3:,.0f} | {one / two:.2f} |"


def fresh_processes() -> Iterator[str]:
    """Rows of a table: what a user waits for before the first number."""
    with tempfile.TemporaryDirectory() as folder:
        # As after pip install: with radpipe's own byte code kept, too.
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": folder}
        warm_up = "import time; from radpipe.features.extract import warm_up; warm_up(); print(time.process_time())"

        def cpu(code: str, environment: dict[str, str] = environment) -> float:
            return float(
                subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
            )

        yield "| | seconds |"
        yield "|---|---|"
        default = cpu(warm_up)
        yield f"| first process ever, compiling every kernel of the default features (CPU) | {default:.1f} |"
        everything = cpu(_EVERYTHING, {**environment, "NUMBA_CACHE_DIR": f"{folder}/everything"})
        yield f"| the same where it asks for everything: every image type, float32, the IBSI set (CPU) | {everything:.1f} |"
        yield f"| a later process: imports, and one small region (CPU) | {cpu(warm_up):.2f} |"
        code = "import time; t = time.perf_counter(); import radpipe; print(time.perf_counter() - t)"
        yield f"| `import radpipe` (wall) | {median(cpu(code) for _ in range(5)):.3f} |"
        image, mask = Path(folder, "image.nrrd"), Path(folder, "mask.nrrd")
        small = cases(Path(folder))["small ball"]
        sitk.WriteImage(small[0], str(image))
        sitk.WriteImage(small[1], str(mask))
        command = [sys.executable, "-m", "radpipe", "extract", str(image), str(mask), "-o", str(Path(folder, "row.csv"))]

        def extract() -> None:
            subprocess.run(command, env=environment, capture_output=True, check=True)

        yield f"| `radpipe extract` of one small case, a fresh process (wall, least of 9) | {seconds(extract, 9, time.perf_counter, min):.2f} |"


_PHANTOM = """
import ctypes, gc, sys, time
import numpy as np
from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract_row

CLASSES = dict.fromkeys(["shape", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm"])

def ball(diameter, around, dtype=np.int16):
    n = diameter + 2 * around
    z, y, x = np.ogrid[:n, :n, :n]
    waves = 400 * np.sin(0.11 * x + 0.05 * y) * np.cos(0.07 * z) + 31 * ((7 * x + 11 * y + 13 * z) % 7)
    inside = ((z - (n - 1) / 2) ** 2 + (y - (n - 1) / 2) ** 2 + (x - (n - 1) / 2) ** 2) <= diameter**2 / 4
    grid = Grid((n, n, n), (1.0, 1.0, 1.0))
    return Image(grid, waves.astype(dtype)), Mask(grid, inside)

def of(name):
    if name == "IBSI set":
        return FeatureSettings(feature_set="ibsi", params={"discretise": {"method": "fbn", "bins": 32}})
    return FeatureSettings(params={"imageType": {name: {"sigma": [2.0]} if name == "LoG" else {}}, "featureClass": CLASSES})
"""
_EVERYTHING = (
    _PHANTOM
    + f"""
from radpipe.features.extract import warm_up
warm_up()
for dtype in (np.int16, np.float32, np.float64):
    for name in {[*WITH_PATTERNS, "IBSI set"]}:
        extract_row(*ball(12, 8, dtype), of(name))
print(time.process_time())
"""
)
_MEMORY = (
    _PHANTOM
    + """
def highest():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

name, diameter = sys.argv[1], 128
extract_row(*ball(16, 8), of(name))
image, mask = ball(diameter, 16)
if sys.argv[2] == "box":
    filled = np.zeros_like(mask.voxels)
    filled[16:-16, 16:-16, 16:-16] = True
    mask = Mask(mask.grid, filled)
gc.collect()
ctypes.CDLL("libc.so.6").malloc_trim(0)  # what the phantom left free would hide what is taken next
open("/proc/self/clear_refs", "w").write("5")
before = highest()
extract_row(image, mask, of(name))
print((highest() - before) / (8 * diameter**3))
"""
)


def memory() -> Iterator[str]:
    """Rows of a table: how far a process grows beyond what the interpreter, the libraries and the image take (Linux only)."""
    yield "| image type | peak, of the region's box as float64: a ball | a region that is its whole box |"
    yield "|---|---|---|"
    for name in (*WITH_PATTERNS, "IBSI set"):
        peaks = []
        for shape in ("ball", "box"):
            done = subprocess.run([sys.executable, "-c", _MEMORY, name, shape], capture_output=True, text=True, check=True)
            peaks.append(f"{float(done.stdout):.1f}")
        yield f"| {name} | {' | '.join(peaks)} |"


def _oracle() -> Any:
    spec = importlib.util.spec_from_file_location("oracle", ROOT / "tests" / "reference" / "make_pyradiomics_oracle.py")
    assert spec is not None and spec.loader is not None
    oracle = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(oracle)
    return oracle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RADPIPE_DATA", ROOT.parent / "shared" / "data")))
    parser.add_argument("--slow-repeats", type=int, default=3, help="how often pyradiomics is timed on the original image")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument("--only", type=int, choices=range(1, 7), action="append", help="this table alone; may be repeated")
    arguments = parser.parse_args()
    parts: list[tuple[str, Iterator[str]]] = [
        ("Original image", side_by_side(arguments.data, None, {"Original": {}}, (9, arguments.slow_repeats))),
        ("All image types together", side_by_side(arguments.data, FILTERED, ALL_TYPES, (3, 1))),
        ("All image types and local binary patterns", side_by_side(arguments.data, PATTERNED, WITH_PATTERNS, (3, 1))),
        ("A second thread", threads(arguments.data)),
        ("Memory", memory()),
        ("Before the first number", fresh_processes()),
    ]
    for number, (title, rows) in enumerate(parts, start=1):
        if arguments.only and number not in arguments.only:
            continue
        print(f"\n## {title}\n", flush=True)
        made = []
        for row in rows:
            made.append(row)
            print(row, flush=True)
        if arguments.write:
            put_section("benchmarks.md", f"## {title}", made, f"numpy {np.__version__}")


if __name__ == "__main__":
    main()
