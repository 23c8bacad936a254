"""radpipe beside pictologics, the fastest radiomics engine we know of, in one run. It needs Python 3.12 or newer:

    python3.12 -m venv /tmp/peer && /tmp/peer/bin/pip install -c constraints.txt . pictologics
    /tmp/peer/bin/python benchmarks/pictologics_peer.py

Warm, one thread, CPU seconds, arrays in memory: radpipe's 107 features (13 directions one by one, then their mean, as
PyRadiomics defines them) and pictologics' intensity, morphology and texture families (one matrix of all directions, 140
features). Both discretise with bins of 25 from a multiple of 25. The sets differ, so the ratio says only who waits longer.
"""

from __future__ import annotations

import os

os.environ.update(PICTOLOGICS_NUM_THREADS="1", PICTOLOGICS_DISABLE_WARMUP="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pictologics
import SimpleITK as sitk

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


def milliseconds(run: Callable[[], object], repeats: int = 9) -> float:
    run(), run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return median(times) * 1e3


def main() -> None:
    print(f"pictologics {pictologics.__version__}\n")
    print("| case | voxels | radpipe, ms CPU | pictologics, ms CPU | pictologics / radpipe |\n|---|---|---|---|---|")
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
        mine = milliseconds(lambda ours=ours: extract_row(*ours))
        peer = milliseconds(lambda pipeline=pipeline, theirs=theirs: pipeline.run(config_names=["all"], **theirs))
        print(f"| {name} | {int(inside.sum()):,} | {mine:.1f} | {peer:.1f} | {peer / mine:.2f} |", flush=True)


if __name__ == "__main__":
    main()
