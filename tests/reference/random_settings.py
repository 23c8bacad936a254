"""Randomly drawn settings for the parity of radpipe and pyradiomics: hypothesis strategies over every key of the contract.

    python tests/reference/random_settings.py           prints what the committed draws cover
    python tests/reference/random_settings.py --draw    draws them again (random_settings.json; the seed is fixed)

The draws are committed, since another version of hypothesis may draw others; the live test draws fresh ones. A value counts as
covered where it differs from the default and bears on the values: sigma only beside LoG, resegmentShape only beside
resegmentRange.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

import pyradiomics_cases as cases  # noqa: E402 (beside this file)

FILE = HERE / "random_settings.json"
SEED = 1  # of the first few seeds one whose draws touch every key thrice
DRAWS = 120
# Case -> (unit of its intensities: a bin width that gives some ten levels; labels in the mask, the last one absent).
CASES: dict[str, tuple[float, tuple[int, ...]]] = {
    "waves": (25, (1, 2)),
    "waves_float": (0.3, (1, 2)),
    "labels": (25, (1, 2, 3, 4)),
    "channels": (25, (1, 2, 3)),
    "nudged": (25, (1, 2)),
    "other_grid": (25, (1, 2)),
    "plane": (25, (1, 2)),
    "image2d": (25, (1, 2)),
    "brain1_crop": (25, (1, 2)),
    "STS_003_PET": (0.25, (1, 2)),
}
NEED_DATA = ("brain1_crop", "STS_003_PET")

DEFAULTS: dict[str, Any] = {
    "minimumROIDimensions": 2, "minimumROISize": None, "geometryTolerance": None, "correctMask": False, "additionalInfo": True,
    "label": 1, "label_channel": 0, "binWidth": 25, "binCount": None, "normalize": False, "normalizeScale": 1,
    "removeOutliers": None, "resampledPixelSpacing": None, "interpolator": "sitkBSpline", "padDistance": 5, "preCrop": False,
    "distances": [1], "force2D": False, "force2Ddimension": 0, "resegmentRange": None, "resegmentMode": "absolute",
    "resegmentShape": False, "sigma": [], "start_level": 0, "level": 1, "wavelet": "coif1", "gradientUseSpacing": True,
    "lbp2DRadius": 1, "lbp2DSamples": 8, "lbp2DMethod": "uniform", "lbp3DLevels": 2, "lbp3DIcosphereRadius": 1,
    "lbp3DIcosphereSubdivision": 1, "voxelArrayShift": 0, "symmetricalGLCM": True, "weightingNorm": None, "gldm_a": 0,
}  # fmt: skip
FILTER_KEYS: dict[str, dict[str, list[Any]]] = {
    "LoG": {"sigma": [[1.5], [2, 3.5], [3.0], [1.0, 2.0]]},
    "Wavelet": {
        "wavelet": ["haar", "db2", "sym3", "bior1.3", "rbio2.2", "coif2"],
        "level": [2],
        "start_level": [1],
    },
    "Gradient": {"gradientUseSpacing": [False]},
    "LBP2D": {"lbp2DRadius": [2, 1.5], "lbp2DSamples": [5, 9, 12], "lbp2DMethod": ["default", "ror", "var"]},
    "LBP3D": {"lbp3DLevels": [1, 3], "lbp3DIcosphereRadius": [2, 1.5], "lbp3DIcosphereSubdivision": [0, 2]},
}
IMAGE_TYPES = (
    "Original", "LoG", "Wavelet", "Square", "SquareRoot", "Logarithm", "Exponential", "Gradient", "LBP2D", "LBP3D",
)  # fmt: skip
TEXTURES = ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm")
# Only on explicit request. Deprecated features that pyradiomics no longer computes are in the ledger, docs/parity.md.
ON_REQUEST = {
    "firstorder": ["StandardDeviation", "Skewness", "10Percentile"],
    "shape": ["Compactness1", "Compactness2", "SphericalDisproportion", "Flatness"],
    "shape2D": ["SphericalDisproportion", "Perimeter", "MaximumDiameter"],
    "glcm": ["MCC", "Imc2", "ClusterShade"],
    "glrlm": ["RunEntropy"],
    "glszm": ["ZoneVariance", "SmallAreaEmphasis"],
    "gldm": ["DependenceVariance"],
    "ngtdm": ["Busyness", "Strength"],
}


# Beside the draws: grids of image and mask that differ, and a new spacing that is the old one; found by other seeds.
_TYPES = {"Original": {}, "Square": {}, "LoG": {"sigma": [2.0], "binWidth": 5}, "Wavelet": {}, "LBP2D": {"binWidth": 1}}
_OF_GRIDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("nudged", {"resampledPixelSpacing": [2, 2, 2], "geometryTolerance": 0.01}),
    ("nudged", {"geometryTolerance": 1e-5}),
    ("nudged", {"geometryTolerance": 1e-5, "correctMask": True}),
    ("other_grid", {"resampledPixelSpacing": [2, 2, 2], "correctMask": True}),
    ("other_grid", {"resampledPixelSpacing": [1.2, 0.9, 2.5], "correctMask": True, "padDistance": 2}),
    ("other_grid", {"correctMask": True, "preCrop": True}),
    ("other_grid", {}),
    ("waves", {"resampledPixelSpacing": [0, 0, 0], "padDistance": 1}),
    ("brain1_crop", {"resampledPixelSpacing": [0, 0, 3.0], "interpolator": "sitkLanczosWindowedSinc", "preCrop": True}),
)


def strategy() -> Any:
    """Of {"case", "params"}; JSON through and through."""
    from hypothesis import strategies as st

    def maybe(draw: Callable[..., Any], into: dict[str, Any], key: str, values: list[Any], left_out: int = 2) -> None:
        """One of the values, or, ``left_out`` times as often as any one value, nothing."""
        value = draw(st.sampled_from([*[None] * left_out * (1 + len(values) // 3), *values]), label=key)
        if value is not None:
            into[key] = value

    def texture(draw: Callable[..., Any], unit: float, left_out: int = 2) -> dict[str, Any]:
        found: dict[str, Any] = {}
        maybe(draw, found, "binCount", [8, 25], 2 * left_out)
        maybe(draw, found, "distances", [[2], [1, 2], [1, 3]], left_out)
        maybe(draw, found, "voxelArrayShift", [100, -50], left_out)
        maybe(draw, found, "symmetricalGLCM", [False], left_out)
        maybe(draw, found, "weightingNorm", ["manhattan", "euclidean", "infinity", "no_weighting"], left_out)
        maybe(draw, found, "gldm_a", [1, 2], left_out)
        maybe(draw, found, "binWidth", [unit / 2, unit * 0.9, unit * 2], left_out)
        return found

    @st.composite
    def one(draw: Callable[..., Any]) -> dict[str, Any]:
        case = draw(st.sampled_from([*CASES, "waves", "waves_float", "labels", "channels", "brain1_crop", "STS_003_PET"]))
        unit, labels = CASES[case]
        flat = case in ("plane", "image2d")
        setting: dict[str, Any] = {}
        if case in ("labels", "channels") or draw(st.integers(0, 7)) == 0:
            setting["label"] = draw(st.sampled_from([*labels[:-1], *labels[:-1], labels[-1]]))
        if case == "channels":
            setting["label_channel"] = draw(st.sampled_from([0, 1, 1]))
        if case == "nudged":
            maybe(draw, setting, "geometryTolerance", [1e-3, 1e-2, 1e-5], 0)
        maybe(draw, setting, "correctMask", [True], 0 if case == "other_grid" else 2)
        maybe(draw, setting, "additionalInfo", [False])
        maybe(draw, setting, "minimumROIDimensions", [1, 3])
        maybe(draw, setting, "minimumROISize", [10, 40, 20, 3000], 3)
        maybe(draw, setting, "preCrop", [True])
        maybe(draw, setting, "padDistance", [0, 3, 10])
        if draw(st.integers(0, 3)) == 0:
            setting["normalize"] = True
            maybe(draw, setting, "normalizeScale", [100, 37.5], 1)
            maybe(draw, setting, "removeOutliers", [1.5, 3], 1)
            unit = 0.25 * setting.get("normalizeScale", 1)
            setting["binWidth"] = unit
        if draw(st.integers(0, 3)) == 0:
            spacings = [[2.0, 2.0, 2.0], [1.0, 1.3, 0], [0, 0, 1.7]] if case != "STS_003_PET" else [[4, 4, 4], [3.0, 5, 0]]
            chosen = draw(st.sampled_from(spacings))
            setting["resampledPixelSpacing"] = chosen[:2] if case == "image2d" else chosen
            maybe(
                draw, setting, "interpolator", ["sitkLinear", "sitkNearestNeighbor", "sitkGaussian", "sitkLanczosWindowedSinc", 2]
            )
        if draw(st.integers(0, 3)) == 0:
            mode = draw(st.sampled_from(["absolute", "relative", "sigma"]))
            ranges = {"absolute": [[unit * 2, unit * 9], [unit]], "relative": [[0.3], [0.9, 0.2]], "sigma": [[-1.5, 1.5], [-1]]}
            setting |= {"resegmentRange": draw(st.sampled_from(ranges[mode])), "resegmentMode": mode}
            maybe(draw, setting, "resegmentShape", [True], 1)
        # Of a 2D image force2D would take the first of its two axes away.
        if case != "image2d" and (flat or draw(st.integers(0, 4)) == 0):
            setting["force2D"] = True
            if not flat:
                maybe(draw, setting, "force2Ddimension", [1, 2], 1)
        setting |= texture(draw, unit, 4)
        setting.setdefault("binWidth", unit)
        most = draw(st.integers(0, 3))
        offered = [name for name in IMAGE_TYPES if case != "image2d" or name != "LBP3D"]
        chosen_types = draw(st.lists(st.sampled_from(offered), min_size=most, max_size=most, unique=True))
        image_types: dict[str, Any] = {}
        for name in chosen_types:
            override = texture(draw, unit, 6) if draw(st.booleans()) else {}
            for key, values in FILTER_KEYS.get(name, {}).items():
                place = draw(st.sampled_from([setting, override, override]))
                maybe(draw, place, key, values, 0 if key == "sigma" else 1)
            if name == "LBP2D":
                override["binWidth"] = 1.0 if {**setting, **override}.get("lbp2DMethod") not in ("default", "var") else 16.0
            if name == "LBP3D":
                override["binWidth"] = draw(st.sampled_from([0.07, 0.23]))
            image_types[name] = override
        classes: dict[str, Any] = {}
        shapes = ["shape2D"] if flat else ["shape"]
        for name in draw(st.lists(st.sampled_from([*TEXTURES, *shapes, *shapes]), max_size=5, unique=True)):
            wanted = draw(st.sampled_from([None, [], "names", "names"]))
            classes[name] = ON_REQUEST[name] if wanted == "names" else wanted
        if not classes and (flat or setting.get("force2D")):
            classes = dict.fromkeys([*TEXTURES, *shapes])  # without any, pyradiomics asks a whole region for shape2D: ledger
        params: dict[str, Any] = {"setting": setting}
        if image_types:
            params["imageType"] = image_types
        if classes:
            params["featureClass"] = classes
        if draw(st.integers(0, 5)) == 0:
            params["voxelSetting"] = {"kernelRadius": 2, "maskedKernel": False, "initValue": 1.5, "voxelBatch": 7}
        return {"case": case, "params": params}

    return one()


def draw(number: int, seed: int) -> list[dict[str, Any]]:
    """``number`` draws of the strategy, all different, in the order in which they came."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as with_seed

    found: dict[str, dict[str, Any]] = {}

    @with_seed(seed)
    @settings(
        max_examples=number * 4, database=None, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(strategy())
    def collect(drawn: dict[str, Any]) -> None:
        found.setdefault(json.dumps(drawn), drawn)

    collect()
    # hypothesis begins with the simplest and tries near copies of what it has tried; every third is far enough apart.
    return [
        {"id": f"random{k:03d}", **one} for k, one in enumerate(list(found.values())[:: max(1, len(found) // number)][:number])
    ]


@lru_cache
def drawn() -> tuple[dict[str, Any], ...]:
    """The committed draws, and those of grids: {"id", "case", "params"}."""
    classes = {"firstorder": None, "shape": None, "glcm": ["JointEntropy"]}
    of_grids = [
        {"id": f"random_grid{k}", "case": case, "params": {"setting": setting, "imageType": _TYPES, "featureClass": classes}}
        for k, (case, setting) in enumerate(_OF_GRIDS)
    ]
    return (*json.loads(FILE.read_text()), *of_grids)


def coverage(draws: Any) -> Counter[str]:
    """Key -> in how many draws it had a value other than its default that bears on the result."""
    found: Counter[str] = Counter()
    for one in draws:
        params = one["params"]
        setting, types = params.get("setting", {}), params.get("imageType", {"Original": {}})
        seen = {f"imageType.{name}" for name in params.get("imageType", {})}
        seen |= {f"imageType.{name}.*" for name, override in types.items() if override}
        for name, wanted in params.get("featureClass", {}).items():
            seen |= {f"featureClass.{name}"} | ({f"featureClass.{name}.[names]"} if wanted else set())
        if "featureClass" not in params:
            seen.add("featureClass (absent)")
        seen |= {f"voxelSetting.{key}" for key in params.get("voxelSetting", {})}
        for name, override in types.items():
            merged = {**setting, **override}
            seen |= {f"setting.{key}" for key, value in merged.items() if value != DEFAULTS[key] and _bears(key, merged, name)}
        found.update(seen)
    return found


def _bears(key: str, setting: dict[str, Any], image_type: str) -> bool:
    """Whether a key can change the result beside the others."""
    owner = next((name for name, keys in FILTER_KEYS.items() if key in keys), image_type)
    beside = {
        "normalizeScale": "normalize", "removeOutliers": "normalize", "interpolator": "resampledPixelSpacing",
        "resegmentMode": "resegmentRange", "resegmentShape": "resegmentRange", "force2Ddimension": "force2D",
    }.get(key)  # fmt: skip
    if key == "padDistance":
        return "resampledPixelSpacing" in setting or "preCrop" in setting
    if key == "binWidth" and "binCount" in setting:
        return False
    return owner == image_type and (beside is None or beside in setting)


def wanted_coverage() -> set[str]:
    """Everything the draws must have touched."""
    found = {f"setting.{key}" for key in DEFAULTS} | {f"imageType.{name}" for name in IMAGE_TYPES}
    found |= {f"imageType.{name}.*" for name in IMAGE_TYPES} | {"featureClass (absent)"}
    found |= {f"featureClass.{name}{end}" for name in ON_REQUEST for end in ("", ".[names]")}
    return found | {f"voxelSetting.{key}" for key in ("kernelRadius", "maskedKernel", "initValue", "voxelBatch")}


def available(case: str, data: Path) -> bool:
    return case not in NEED_DATA or data.is_dir()


def read(case: str, data: Path) -> tuple[sitk.Image, sitk.Image]:
    """(image, mask) of a drawn case."""
    if case in ("waves", "waves_float", "plane", "STS_003_PET"):
        return cases.read(case, data)
    if case == "brain1_crop":
        image, mask = cases.read("brain1", data)
        box = np.argwhere(sitk.GetArrayViewFromImage(mask))[:, ::-1]
        low = np.maximum(box.min(axis=0) - [9, 9, 2], 0)
        high = np.minimum(box.max(axis=0) + np.array([9, 8, 2]), np.array(image.GetSize()) - 1) + 1
        cut = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return image[cut], mask[cut]
    array, region, spacing = cases.phantoms()["waves"]
    if case == "image2d":
        return cases.to_itk(array[6], spacing[:2]), cases.to_itk(region[6].astype(np.uint8), spacing[:2])
    image = cases.to_itk(array, spacing)
    z, _, x = np.indices(array.shape)
    parts = np.where(region, np.where(x < 7, 2, np.where(z < 8, 1, 3)), 0).astype(np.uint8)
    if case == "labels":
        return image, cases.to_itk(parts, spacing)
    if case == "channels":
        turned = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
        pair = image, sitk.Compose(cases.to_itk((parts == 1).astype(np.uint8), spacing), cases.to_itk(parts % 3, spacing))
        for one in pair:
            one.SetDirection(turned)
            one.SetOrigin((-3.0, 40.0, 7.5))
        return pair
    if case == "nudged":
        mask = cases.to_itk(region.astype(np.uint8), spacing)
        mask.SetOrigin((4e-4, 0.0, -4e-4))
        return image, mask
    if case == "other_grid":
        finer = np.repeat(np.repeat(region[1:-1, 1:-1, 2:-2], 2, axis=1), 2, axis=2).astype(np.uint8)
        mask = cases.to_itk(finer, (spacing[0] / 2, spacing[1] / 2, spacing[2]))
        mask.SetOrigin((2 * spacing[0] + 0.1, spacing[1] - 0.2, spacing[2]))
        return image, mask
    raise KeyError(case)


def report() -> str:
    covered = coverage(drawn())
    lines = [f"{len(drawn())} draws on {len({one['case'] for one in drawn()})} cases; key: draws in which it was not its default"]
    lines += [f"  {key:34} {covered[key]:3d}" for key in sorted(wanted_coverage())]
    return "\n".join(lines)


if __name__ == "__main__":
    if "--draw" in sys.argv:
        FILE.write_text("[\n" + ",\n".join(json.dumps(one) for one in draw(DRAWS, SEED)) + "\n]\n")
    print(report())
