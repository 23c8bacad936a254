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
# torch: what selecting inputs and learning from features needs on top, 3 more. cnn: an optimiser's first step imports torch's compiler,
# 3 more. monai: what segmentation and MONAI's networks need on top of that, 2.5 more.
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
CNN = ("torch._dynamo",)
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
    "cnn": (*LIGHT, *TORCH, *CNN),
    "monai": (*LIGHT, *TORCH, *CNN, *MONAI),
}

_loaded: set[str] = set()


def has_loaded(kind: str) -> bool:
    """Whether this process has loaded everything of ``kind``."""
    return _loaded.issuperset(KINDS[kind])


def load(kind: str) -> None:
    """Import and warm everything of ``kind`` in this process, on top of what it has loaded already."""
    missing = [f"{name}={value}" for name, value in ENVIRONMENT.items() if os.environ.get(name) != value]
    if missing:
        raise RuntimeError(f"the fork server was started without {', '.join(missing)}")
    for name in KINDS[kind]:
        import_module(name)
    new = set(KINDS[kind]) - _loaded
    if "SimpleITK" in new:
        import SimpleITK

        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # type: ignore[no-untyped-call]
        import_module("radpipe.features.extract").warm_up()
    if "torch" in new:
        import torch

        torch.set_num_threads(1)
        torch.set_num_interop_threads(1)
        torch.set_deterministic_debug_mode("error")  # and not use_deterministic_algorithms: that one imports torch's compiler
    # What is loaded stays: without this, a case's first collection touches, and so copies, every page it shares with us.
    gc.collect()
    gc.freeze()
    _loaded.update(new)
