"""What a fork server loads once, so that no case has to: libraries, compiled kernels, one thread each.

Nothing here runs a parallel kernel or an ITK filter: thread pools do not survive a fork.
"""

from __future__ import annotations

import gc
import os
from importlib import import_module

# Same bytes for 1 and 2 workers: one thread a case, whatever the machine. The libraries read these once, when they are loaded.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
    # Order of sets of strings, in whatever library, must not differ between two workers.
    "PYTHONHASHSEED": "0",
}

# intake: what reading an export needs. light: what checking, preparing and extracting a case needs; about 1.3 CPU seconds.
# torch: what learning needs on top, 2.5 more. monai: what segmentation and MONAI's networks need on top of that, 2.5 more.
LIGHT = (
    "numpy",
    "pandas",
    "SimpleITK",
    "numba",
    "radpipe.io.store",
    "radpipe.stages.work",
    "radpipe.cohort.check",
    "radpipe.preprocessing.prepare",
    "radpipe.preprocessing.crop",
    "radpipe.features.extract",
)
TORCH = (
    "torch",
    "pyarrow.parquet",
    "radpipe.io.models",
    "radpipe.selection.select",
    "radpipe.selection.tree",
    "radpipe.models.fit",
    "radpipe.models.ann.model",
    "radpipe.models.cnn3d.model",
    "radpipe.models.logistic",
    "radpipe.models.xgboost",
)
MONAI = (
    "monai.inferers",
    "monai.losses",
    "monai.networks.nets",
    "radpipe.segmentation.train",
    "radpipe.segmentation.postprocess",
    "radpipe.segmentation.metrics",
)
INTAKE = (
    "radpipe.stages.intake_work",
    "radpipe.io.dicom.rtstruct",
    "radpipe.io.dicom.seg",
    "radpipe.io.dicom.series",
    "radpipe.io.labelled",
    "radpipe.preprocessing.resample",
    "radpipe.report.overlay",
)
DEIDENTIFY = ("numpy", "radpipe.stages.deidentify_work")
DOCTOR = ("numpy", "radpipe.stages.doctor_work")  # no kernels: a look at a cohort starts at once
KINDS: dict[str, tuple[str, ...]] = {
    "bare": (),
    "deidentify": DEIDENTIFY,
    "doctor": DOCTOR,
    "intake": INTAKE,
    "light": LIGHT,
    "torch": (*LIGHT, *TORCH),
    "monai": (*LIGHT, *TORCH, *MONAI),
}

loaded = ""  # the kind that this process has loaded whole; a case asserts it


def load(kind: str) -> None:
    """Import and warm everything of ``kind`` in this process."""
    missing = [f"{name}={value}" for name, value in ENVIRONMENT.items() if os.environ.get(name) != value]
    if missing:
        raise RuntimeError(f"the fork server was started without {', '.join(missing)}")
    for name in KINDS[kind]:
        import_module(name)
    if "SimpleITK" in KINDS[kind]:
        import SimpleITK

        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # type: ignore[no-untyped-call]
        import_module("radpipe.features.extract").warm_up()
    if "torch" in KINDS[kind]:
        import torch

        torch.set_num_threads(1)
        torch.set_num_interop_threads(1)
        # Besides what it says: its first call, like an optimiser's first step, imports 800 modules (1.6 CPU seconds), which
        # every case would otherwise pay for itself.
        torch.use_deterministic_algorithms(True)
    # What is loaded stays: without this, a case's first collection touches, and so copies, every page it shares with us.
    gc.collect()
    gc.freeze()
    global loaded
    loaded = kind
