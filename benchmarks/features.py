"""radpipe's feature engine beside pyradiomics, in one run:  make benchmarks  (or: .venv/bin/python benchmarks/features.py)

The 107 default features of the original image, warm, one thread, CPU seconds of the process. pyradiomics is measured where
it is installed (`make pyradiomics`); the ratio is the result. No test times anything.
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
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[1]


def cases(data: Path) -> dict[str, tuple[sitk.Image, sitk.Image]]:
    """name -> (image, mask); a phantom where there are no shared data."""
    found: dict[str, tuple[sitk.Image, sitk.Image]] = {}
    z, y, x = np.indices((9, 10, 11))
    small = (((z - 4) / 4) ** 2 + ((y - 5) / 4.5) ** 2 + ((x - 5) / 5) ** 2 <= 1).astype(np.uint8)
    waves = (200 + 120 * np.sin(0.9 * x + 0.5 * y) * np.cos(0.7 * z) + 31 * ((7 * x + 11 * y + 13 * z) % 7)).astype(np.int16)
    found["small ball"] = sitk.GetImageFromArray(waves), sitk.GetImageFromArray(small)
    places = {
        "brain1 (MR)": ("pyradiomics_cases/brain1_image.nrrd", "pyradiomics_cases/brain1_label.nrrd"),
        "STS_002 PET": ("sts/images/STS_002/PET_image.nii.gz", "sts/images/STS_002/PET_mask.nii.gz"),
        "STS_002 CT": ("sts/images/STS_002/CT_image.nii.gz", "sts/images/STS_002/CT_mask.nii.gz"),
        "STS_001 MR": ("sts/images/STS_001/MR_T1_image.nii.gz", "sts/images/STS_001/MR_T1_mask.nii.gz"),
        "STS_001 CT": ("sts/images/STS_001/CT_image.nii.gz", "sts/images/STS_001/CT_mask.nii.gz"),
    }
    for name, (image, mask) in places.items():
        if (data / image).is_file():
            found[name] = sitk.ReadImage(str(data / image)), sitk.ReadImage(str(data / mask))
    return found


def cpu_seconds(run: Callable[[], object], repeats: int) -> float:
    """Median CPU seconds of a call, after one that is not counted."""
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return median(times)


def fresh_process(cache: str) -> float:
    """CPU seconds of a new process that imports the engine and extracts one small region."""
    code = "import time; from radpipe.features.extract import warm_up; warm_up(); print(time.process_time())"
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    return float(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RADPIPE_DATA", ROOT.parent / "shared" / "data")))
    parser.add_argument("--slow-repeats", type=int, default=1, help="how often pyradiomics is timed")
    arguments = parser.parse_args()

    spec = importlib.util.spec_from_file_location("oracle", ROOT / "tests" / "reference" / "make_pyradiomics_oracle.py")
    assert spec is not None and spec.loader is not None
    oracle = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(oracle)
    from radpipe.features.config import FeatureSettings
    from radpipe.features.extract import extract_row
    from radpipe.features.parity import off

    there = importlib.util.find_spec("radiomics") is not None
    print("| case | voxels | radpipe, ms CPU | pyradiomics, ms CPU | times faster | worst difference, of its bound |")
    print("|---|---|---|---|---|---|")
    for name, (image, mask) in cases(arguments.data).items():
        params = {"setting": {"binWidth": 0.25 if "PET" in name else 25}, "featureClass": dict.fromkeys(oracle.CLASSES)}
        ours, settings = oracle.from_itk(image, mask), FeatureSettings(params=params)
        mine = cpu_seconds(lambda ours=ours, settings=settings: extract_row(*ours, settings), 9)
        row = f"| {name} | {int(ours[1].voxels.sum()):,} | {mine * 1e3:.1f} |"
        if there:
            theirs = cpu_seconds(lambda i=image, m=mask, p=params: oracle.pyradiomics_row(i, m, p), arguments.slow_repeats)
            worst = max(off(extract_row(*ours, settings), oracle.pyradiomics_row(image, mask, params)).values())
            row += f" {theirs * 1e3:,.0f} | {theirs / mine:.0f} | {worst:.1g} |"
        else:
            row += " not installed (`make pyradiomics`) | | |"
        print(row, flush=True)
    with tempfile.TemporaryDirectory() as cache:
        first = fresh_process(cache)
        later = fresh_process(cache)
    print(f"\nfirst process ever (compiles): {first:.1f} s CPU; a later process, import and one small region: {later:.2f} s CPU")


if __name__ == "__main__":
    main()
