"""radpipe beside pictologics, the fastest radiomics engine we know of, in one run. It needs Python 3.12 or newer:

    python3.12 -m venv /tmp/peer && /tmp/peer/bin/pip install -c constraints.txt . pictologics
    /tmp/peer/bin/python benchmarks/pictologics_peer.py --write

Warm, one thread, CPU seconds, arrays in memory: radpipe's 107 features (13 directions one by one, then their mean, as
PyRadiomics defines them) and pictologics' intensity, morphology and texture families (one matrix of all directions, 140
features). Both discretise with bins of 25 from a multiple of 25. The sets differ, so the ratio says only who waits longer.
"""

from __future__ import annotations

import argparse
import os

os.environ.update(PICTOLOGICS_NUM_THREADS="1", PICTOLOGICS_DISABLE_WARMUP="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pictologics
import SimpleITK as sitk
from pages import put_section

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract_row

DATA = Path(os.environ.get("RADPIPE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FILES = {
    "brain1 (MR)": "pyradiomics_cases/brain1_image.nrrd pyradiomics_cases/brain1_label.nrrd",
    "STS_001 MR": "sts/images/STS_001/MR_T1_image.nii.gz sts/images/STS_001/MR_T1_mask.nii.gz",
    "STS_002 CT": "sts/images/STS_002/CT_image.nii.gz sts/images/STS_002/CT_mask.nii.gz",
    "STS_001 CT": "sts/images/STS_001/CT_image.nii.gz sts/images/STS_001/CT_mask.nii.gz",
    "IBSI CT phantom": "ibsi1/ct_phantom_CC-BY-NC/image/phantom.nii.gz ibsi1/ct_phantom_CC-BY-NC/mask/mask.nii.gz",
}


def milliseconds(*runs: Callable[[], object], repeats: int = 21) -> list[float]:
    """Of each, the median; in turn, since the machine's speed drifts and must not favour one side."""
    for run in runs:
        run(), run()
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for own, run in zip(times, runs, strict=True):
            start = time.process_time()
            run()
            own.append(time.process_time() - start)
    return [median(own) * 1e3 for own in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    write = parser.parse_args().write
    lines = [
        "`benchmarks/pictologics_peer.py --write` remakes this section (its head says how pictologics is installed, which needs Python",
        "3.12): in turn in one process, warm, one thread, arrays in memory, medians of 21. radpipe's 107 features are made direction by",
        "direction, as PyRadiomics defines them; pictologics' 140 of one matrix of all directions. The sets differ, so the ratio says only",
        "who waits longer.", "",
        "| case | voxels | radpipe, ms CPU | pictologics, ms CPU | times faster |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, files in FILES.items():
        image, mask = (sitk.ReadImage(str(DATA / file)) for file in files.split())
        voxels, inside = sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(mask) > 0
        x, y, z = spacing = image.GetSpacing()
        grid = Grid(voxels.shape, (z, y, x))
        ours = (Image(grid, voxels), Mask(grid, inside), FeatureSettings())
        placed = {"spacing": spacing, "origin": (0.0, 0.0, 0.0)}
        theirs = {
            "image": pictologics.Image(array=voxels.transpose(2, 1, 0).astype(float), **placed),
            "mask": pictologics.Image(array=inside.transpose(2, 1, 0).astype(np.uint8), **placed),
        }
        pipeline = pictologics.RadiomicsPipeline(load_standard=False)
        start = float(voxels[inside].min() // 25 * 25)
        steps = [
            {"step": "discretise", "params": {"method": "FBS", "bin_width": 25.0, "min_val": start}},
            {"step": "extract_features", "params": {"families": ["intensity", "morphology", "texture"]}},
        ]
        pipeline.add_config("all", steps)
        mine, peer = milliseconds(
            lambda ours=ours: extract_row(*ours),
            lambda pipeline=pipeline, theirs=theirs: pipeline.run(config_names=["all"], **theirs),
        )
        lines.append(f"| {name} | {int(inside.sum()):,} | {mine:.1f} | {peer:.1f} | {peer / mine:.2f} |")
        print(lines[-1], flush=True)
    if write:
        put_section("benchmarks.md", "## Beside pictologics", lines, f"pictologics {pictologics.__version__}")


if __name__ == "__main__":
    main()
