"""Feature maps as PyRadiomics' class and command hand them out -> compat_maps_oracle.npz. Run where pyradiomics is installed.

    python tests/reference/make_compat_maps_oracle.py

What is kept of every map: name, order, size, spacing, origin, direction, pixel type and voxels. Made with pyradiomics 3.0.1.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from small_volumes import write_small_volumes

ORACLE = Path(__file__).with_name("compat_maps_oracle.npz")
SCRIPTS: dict[str, dict[str, Any]] = {
    "plain": {
        "params": {
            "setting": {"binWidth": 15},
            "featureClass": {
                "firstorder": ["Mean", "Entropy"],
                "glcm": ["Contrast"],
                "gldm": ["DependenceEntropy"],
                "shape": None,
            },
        },
        "label": 1,
    },
    "resampled": {
        "params": {
            "setting": {"binWidth": 15, "resampledPixelSpacing": [1.5, 1.5, 0], "padDistance": 6, "additionalInfo": False},
            "imageType": {"Wavelet": {"wavelet": "haar"}, "Original": {}},
            "voxelSetting": {"kernelRadius": 2, "initValue": -1, "voxelBatch": 100},
            "featureClass": {"glrlm": ["RunEntropy"], "ngtdm": ["Coarseness"]},
        },
        "label": 1,
    },
    "unmasked": {
        "params": {
            "setting": {"binWidth": 20, "preCrop": True, "padDistance": 1},
            "voxelSetting": {"maskedKernel": False, "initValue": float("nan")},
            "featureClass": {"glszm": ["ZoneEntropy"], "glcm": ["MCC", "Idm"]},
        },
        "label": 2,
    },
}


def facts(image: sitk.Image) -> list[Any]:
    """What a reader of the file sees, but for the voxels."""
    return [image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection(), image.GetPixelIDTypeAsString()]


def main() -> None:
    from radiomics import featureextractor, setVerbosity

    setVerbosity(50)
    stored: dict[str, Any] = {}
    about: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_small_volumes(folder)
        for script, given in SCRIPTS.items():
            extractor = featureextractor.RadiomicsFeatureExtractor(given["params"])
            row = extractor.execute(f"{folder}/image.nrrd", f"{folder}/mask.nrrd", label=given["label"], voxelBased=True)
            about[script] = {"keys": list(row), "maps": {}}
            for key, value in row.items():
                if isinstance(value, sitk.Image):
                    about[script]["maps"][key] = facts(value)
                    stored[f"{script}/{key}"] = sitk.GetArrayFromImage(value)
        (folder / "params.json").write_text(json.dumps(SCRIPTS["plain"]["params"]))
        command = [
            str(Path(sys.executable).with_name("pyradiomics")), "image.nrrd", "mask.nrrd", "-p", "params.json", "-m", "voxel",
            "-od", "out", "-f", "csv",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        about["command"] = {
            "text": done.stdout.replace(str(folder), "FOLDER"),
            "files": sorted(p.name for p in (folder / "out").iterdir()),
        }
    np.savez_compressed(ORACLE, about=np.array(json.dumps(about)), **stored)


if __name__ == "__main__":
    main()
