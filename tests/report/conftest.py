"""A synthetic run with every table a real one has: 34 cases, 13 events, five models, 3 x 5 splits."""

# ruff: noqa: E501, SIM905 - rows of synthetic tables are easier to read as rows
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from radpipe.comparison.compare import compare_models
from radpipe.comparison.config import ComparisonSettings
from radpipe.core import tables as t
from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.conformal import conformal_tables
from radpipe.evaluation.curves import decision_curves, risk_groups
from radpipe.evaluation.metrics import evaluate
from radpipe.evaluation.subgroups import subgroup_table
from radpipe.evaluation.time_auc import time_auc_table
from radpipe.features.undefined import REASONS
from radpipe.report.config import ReportSettings
from radpipe.report.html import render
from radpipe.report.inputs import OverlaySlice, ReportInputs
from radpipe.report.map_pictures import MapPicture, map_picture
from radpipe.report.summary import summarise

FEATURES = """original_shape_MeshVolume original_shape_Sphericity original_shape_Flatness original_shape_Elongation
original_shape_Maximum3DDiameter original_shape_SurfaceVolumeRatio original_firstorder_90Percentile original_firstorder_Entropy
original_firstorder_Kurtosis original_firstorder_Skewness original_firstorder_Maximum original_firstorder_Uniformity
original_glcm_JointEntropy original_glcm_Correlation original_glcm_Contrast original_glcm_ClusterShade original_glcm_Imc1
original_glrlm_RunEntropy original_glrlm_LongRunLowGrayLevelEmphasis original_glrlm_GrayLevelNonUniformityNormalized
original_glszm_ZonePercentage original_glszm_SizeZoneNonUniformity original_glszm_LargeAreaHighGrayLevelEmphasis
original_gldm_DependenceEntropy original_gldm_SmallDependenceLowGrayLevelEmphasis original_ngtdm_Busyness
original_ngtdm_Coarseness original_ngtdm_Strength""".split()
MODELS = {
    "ann": {"kind": "ann", "inputs": "selected", "hidden": [3], "recipe": "modern"},
    "cnn": {"kind": "cnn3d", "inputs": "image", "epochs": 30, "network_params": {}},
    "clinical": {"kind": "logistic", "inputs": "clinical", "c": 1.0},
    "volume": {"kind": "logistic", "inputs": "volume", "c": 1.0},
    "xgboost": {"kind": "xgboost", "inputs": "features", "rounds": 200},
}
STRENGTH = {"ann": 0.75, "cnn": 0.5, "clinical": 0.6, "volume": 0.25, "xgboost": 0.55}


@dataclass(frozen=True)
class Plan:
    n: int = 34
    events: int = 13
    repeats: int = 3
    folds: int = 5
    seed: int = 0
    prefix: str = "STS_"
    primary: tuple[str, str] | None = ("ann", "cnn")
    strength: tuple[tuple[str, float], ...] = tuple(STRENGTH.items())


def build(plan: Plan) -> ReportInputs:
    rng = np.random.default_rng(plan.seed)
    cases = [f"{plan.prefix}{i:03d}" for i in range(plan.n)]
    y = np.zeros(plan.n, int)
    y[rng.permutation(plan.n)[: plan.events]] = 1
    volume = np.exp(rng.normal(4.5 + 0.5 * y, 0.9))
    cohort = t.make_table(
        t.COHORT,
        pd.DataFrame(
            {
                "case_id": cases, "patient_id": cases, "modality": "PET", "image_path": "image.nii.gz", "mask_path": "mask.nii.gz",
                "label": 1, "outcome": y, "image_sha256": "0" * 64, "mask_sha256": "0" * 64, "mask_volume_ml": volume,
                "age_years": rng.integers(17, 83, plan.n).astype(float),
                "sex": pd.Series(rng.choice(["Female", "Male"], plan.n), dtype="str"),
                "grade": pd.Series(np.where(rng.random(plan.n) < 0.04, None, rng.choice(["High", "Intermediate", "Low"], plan.n, p=[0.6, 0.25, 0.15])), dtype="str"),
            }
        ),
    )  # fmt: skip
    splits, predictions, fits, selection = [], [], [], []
    for repeat in range(plan.repeats):
        fold_of = np.empty(plan.n, int)
        for cls in (0, 1):
            members = rng.permutation(np.flatnonzero(y == cls))
            fold_of[members] = np.arange(len(members)) % plan.folds
        for fold in range(plan.folds):
            role = np.where(fold_of == fold, "test", np.where(rng.random(plan.n) < 0.25, "selection", "train"))
            splits += [{"repeat": repeat, "fold": fold, "case_id": c, "role": r} for c, r in zip(cases, role, strict=True)]
            for model, strength in dict(plan.strength).items():
                gain = np.where(role == "train", 2.5, 1.0)
                z = (
                    gain * strength * (2 * y - 1)
                    + 0.8 * np.sin(np.arange(plan.n) * 12.9898)
                    + 0.7 * rng.normal(size=plan.n)
                    - 0.4
                )
                p = 1 / (1 + np.exp(-z))
                key = {"repeat": repeat, "fold": fold, "seed": 11 + fold, "model": model}
                predictions += [
                    {**key, "case_id": c, "role": r, "y_true": int(o), "p_0": 1 - q, "p_1": q}
                    for c, r, o, q in zip(cases, role, y, p, strict=True)
                ]
                fits.append(
                    {**key, "n_train": int((role == "train").sum()), "n_selection": int((role == "selection").sum()),
                     "n_inputs": {"ann": 4 + fold % 3, "cnn": 32**3, "clinical": 4, "volume": 1, "xgboost": 107}[model],
                     "n_parameters": {"ann": 25, "cnn": 118_000, "clinical": 5, "volume": 2, "xgboost": 320}[model],
                     "epochs": 30, "train_error": 0.4, "regularisation": 0.01, "selection_error": 0.5, "recalibration_slope": 0.9,
                     "recalibration_intercept": 0.0, "threshold": 0.45 + 0.02 * fold, "inputs": "", "saw_sha256": "", "model_path": ""}
                )  # fmt: skip
            chosen = rng.random(len(FEATURES)) < np.exp(-np.arange(len(FEATURES)) / 5)
            for feature, keep in zip(FEATURES, chosen, strict=True):
                selection.append(
                    {"repeat": repeat, "fold": fold, "sources": "scalar+maps+habitats", "feature": feature, "importance": float(keep) * 0.2, "kept": bool(keep),
                     "reason": "kept" if keep else "not_important", "redundant_with": ""}
                )  # fmt: skip
    agreement = []
    for i, feature in enumerate(FEATURES):
        icc = float(np.clip(0.98 - 0.028 * i + 0.03 * rng.normal(), -0.1, 0.995))
        agreement.append(
            {"feature": feature, "n": plan.n, "icc": icc, "ci_low": max(-0.4, icc - 0.12 - 0.2 * (1 - icc)), "ci_high": min(1, icc + 0.6 * (1 - icc))}
        )  # fmt: skip
    dice = np.clip(0.84 - 0.25 * rng.exponential(0.35, plan.n), 0.25, 0.93)
    segmentation = [
        {"repeat": -1, "fold": -1, "case_id": c, "part": i % 5, "dice": dice[i], "hd95_mm": 4 + 30 * (0.95 - dice[i]) * rng.random() * 2,
         "dice_no_look": float(np.clip(rng.normal(0.42, 0.13), 0.05, 0.75)), "volume_given_ml": volume[i],
         "volume_predicted_ml": volume[i] * np.exp(rng.normal(0, 0.15)), "mask_path": "", "probability_path": "", "key": "0" * 64}
        for i, c in enumerate(cases)
    ]  # fmt: skip
    dictionary = [
        {"name": f, "image_type": "original", "family": f.split("_")[1], "feature": f.split("_")[2], "ibsi": "", "unit": "mm3" if "Volume" in f else "1",
         "meaning": "What this feature measures, in one sentence that a clinician can read.", "convention": "pyradiomics", "source": "radpipe 0.1.0", "other_name": "",
         "settings": "{}", "settings_key": "0" * 16}
        for f in FEATURES
    ]  # fmt: skip
    table: dict[str, Any] = {
        "cohort": cohort,
        "splits": t.make_table(t.SPLITS, splits),
        "segmentation": t.make_table(t.SEGMENTATION, segmentation),
        "feature_dictionary": t.make_table(t.FEATURE_DICTIONARY, dictionary),
        "undefined": t.make_table(
            t.UNDEFINED,
            [
                {"repeat": -1, "fold": -1, "case_id": case, "roi": "given", "feature": feature, "value": value, "reason": reason, "meaning": REASONS[reason]}
                for case, feature, value, reason in (
                    (cases[0], FEATURES[0], None, "no-neighbours"), (cases[1], FEATURES[0], 1e6, "no-difference"),
                    (cases[1], FEATURES[1], 0.0, "no-difference"),
                )
            ],
        ),
        "mask_agreement": t.make_table(t.MASK_AGREEMENT, agreement),
        "selection": t.make_table(t.SELECTION, selection),
        "predictions": t.make_table(t.PREDICTIONS, predictions),
        "fits": t.make_table(t.FITS, fits),
        "failures": t.make_table(
            t.FAILURES,
            [
                {"case_id": f"{plan.prefix}998", "stage": "cohort", "error": "geometry", "path": "/data/sts/STS_998_mask.nii.gz",
                 "problem": "mask and image are not on the same grid: spacing (x, y, z): image 4.688, 4.688, 3.270 mm, mask 5.0, 5.0, 5.0 mm.",
                 "hint": "Re-export the mask on the image grid.", "rerun": "radpipe stage cohort workflows/sts_pet.yaml --out runs/sts_pet --case STS_998"},
            ],
        ),
    }  # fmt: skip
    comparison = ComparisonSettings(primary=plan.primary)
    table["metrics"] = evaluate(table["predictions"], table["fits"], EvaluationSettings(bootstrap_resamples=200))
    table["comparison"] = compare_models(table["predictions"], table["splits"], comparison)
    quick = EvaluationSettings(bootstrap_resamples=200, subgroup_least=4, decision_thresholds=(0.1, 0.3, 0.5))
    table["conformal"], table["conformal_sets"] = conformal_tables(table["predictions"], quick)
    table["decision_curves"] = decision_curves(table["predictions"], quick)
    table["subgroups"] = subgroup_table(table["predictions"], cohort, ["age_years", "sex"], quick)
    return ReportInputs(
        name="sts_pet",
        title="Lung metastasis in soft-tissue sarcoma from FDG-PET",
        tables=table,
        settings={
            "radpipe_workflow": 1, "name": "sts_pet", "seed": 20261121,
            "cohort": {"manifest": "builtin:sts_pet", "outcome": "lung_metastasis", "clinical": ["age_years", "sex", "grade"]},
            "splits": {"repeats": plan.repeats, "folds": plan.folds, "selection_fraction": 0.25},
            "preprocessing": {"spacing_mm": [5.0, 5.0, 5.0]},
            "segmentation": {"masks": "predicted", "nesting": "cross_fit", "folds": 5, "network": "unet3d", "epochs": 40},
            "features": {"engine": "radpipe", "params": {"setting": {"binWidth": 0.25}}},
            "models": {name: MODELS.get(name, {}) for name, _ in plan.strength},
            "evaluation": EvaluationSettings().model_dump(mode="json"),
            "comparison": comparison.model_dump(mode="json"),
            "report": ReportSettings().model_dump(mode="json"),
        },
        versions={"radpipe": "0.1.0", "python": "3.11.9", "torch": "2.13.0", "numpy": "2.4.6"},
        seeds={"workflow": 20261121},
        overlays=tuple(picture(cases[i], float(dice[i]), i) for i in np.argsort(dice)[:: max(1, plan.n // 6)][:6]),
        pictures=tuple(picture(cases[i], float(dice[i]), i) for i in range(5)),
        maps=tuple(map_case(cases[i], i) for i in range(2)),
        map_facts={"original_firstorder_Mean": ("SUV", "Mean intensity."), "original_glcm_Contrast": ("1", "How much neighbours differ.")},
        excluded={f"{plan.prefix}999": "the outcome is missing"},
        stability={"scalar+maps+habitats": {"value": 0.41, "ci_low": 0.33, "ci_high": 0.49}},
        budget={name: (plan.repeats * plan.folds, 2.0 + 31 * i) for i, (name, _) in enumerate(plan.strength)},
        licence="The embedded cohort is under CC BY 3.0.",
        citations=("Vallières M et al. (2015). Physics in Medicine and Biology 60(14):5471-5496. doi:10.1088/0031-9155/60/14/5471",),
        command="radpipe run workflows/sts_pet.yaml --out runs/sts_pet",
    )  # fmt: skip


def picture(case: str, dice: float, seed: int) -> OverlaySlice:
    """A hot blob on a noisy background, outlined twice."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:36, :40]
    wobble = 1 + 0.18 * np.sin(3 * np.arctan2(yy - 18, xx - 20) + seed)
    radius = np.hypot((yy - 18) / (8 + seed % 4), (xx - 20) / (9 - seed % 3)) * wobble
    image = 0.8 + rng.gamma(2, 0.25, radius.shape) + 8 * np.exp(-(radius**2) * 1.4)
    shift = np.hypot((yy - 18 - (1 - dice) * 8) / 9, (xx - 20 - (1 - dice) * 5) / 8)
    return OverlaySlice(case, image, radius < 1, shift < 1, (4.0, 4.0), dice, "slice 17 of 40", "SUV", "PET")


def map_case(case: str, seed: int) -> MapPicture:
    """A lesion that is hot in front and cold behind, with its maps."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices((14, 30, 34))
    inside = ((z - 7) / 4.5) ** 2 + ((y - 15) / 8) ** 2 + ((x - 16) / (9 + seed)) ** 2 <= 1
    voxels = rng.gamma(2, 0.3, inside.shape) + inside * (6 - 0.2 * y)
    grid = Grid(inside.shape, (4.0, 3.0, 3.0))
    maps = {
        "original_firstorder_Mean": np.where(inside, voxels, np.nan),
        "original_glcm_Contrast": np.where(inside, rng.gamma(2, 3, inside.shape), np.nan),
    }
    habitats = np.where(inside, 1 + (y > 12) + (y > 18), 0).astype(np.uint8)
    return map_picture(case, Image(grid, voxels, "SUV"), Mask(grid, inside), maps, habitats, modality="PET")


@pytest.fixture(scope="session")
def inputs() -> ReportInputs:
    return build(Plan())


@pytest.fixture(scope="module")
def summary(inputs):
    return summarise(inputs)


@pytest.fixture(scope="module")
def page(summary):
    return render(summary)


@pytest.fixture(scope="session")
def make_inputs():
    """(Plan or its fields) -> inputs; and ``replace`` of dataclasses."""

    def make(**fields: Any) -> ReportInputs:
        return build(Plan(**fields))

    make.replace = replace
    return make


def timed(inputs: ReportInputs, horizon: float = 24.0) -> ReportInputs:
    """The same run with times to an event in months, some of them censored and, of every sixth patient, to a competing event; every
    table that a real run would have is made by what makes it there."""
    rng = np.random.default_rng(3)
    cohort = inputs.tables["cohort"]
    assert cohort is not None
    y = cohort["outcome"].to_numpy()
    time = np.round(rng.exponential(np.where(y == 1, 14.0, 45.0)) + 0.5, 1)
    censored = rng.random(len(y)) < 0.3
    event = np.where(censored, 0, np.where(np.arange(len(y)) % 6 == 0, 2, 1))
    cohort = t.make_table(t.COHORT, cohort.assign(outcome=event, time=time))
    predictions = inputs.tables["predictions"]
    assert predictions is not None
    log_hazard = np.log(predictions["p_1"] / predictions["p_0"])
    of = {name: dict(zip(cohort["case_id"], cohort[name], strict=True)) for name in ("outcome", "time")}
    predictions = predictions.assign(
        score=log_hazard, time=predictions["case_id"].map(of["time"]), y_true=predictions["case_id"].map(of["outcome"])
    )
    predictions = t.make_table(t.PREDICTIONS, predictions)
    fits, splits = inputs.tables["fits"], inputs.tables["splits"]
    assert fits is not None and splits is not None
    settings, comparison = (
        EvaluationSettings(bootstrap_resamples=200, subgroup_least=4, decision_thresholds=(0.1, 0.3, 0.5)), ComparisonSettings(primary=("ann", "cnn"))
    )  # fmt: skip
    tables = {
        **inputs.tables, "cohort": cohort, "predictions": predictions,
        "metrics": evaluate(predictions, fits, settings, horizon=horizon),
        "comparison": compare_models(predictions, splits, comparison, horizon=horizon),
        "decision_curves": decision_curves(predictions, settings, horizon=horizon),
        "risk_groups": risk_groups(predictions, settings),
        "time_auc": time_auc_table(predictions, settings),
        "subgroups": subgroup_table(predictions, cohort, ["age_years", "sex"], settings),
        "conformal": None, "conformal_sets": None,
    }  # fmt: skip
    of_time = {"outcome_kind": "time_to_event", "time": "follow_up_months", "horizon": horizon}
    return replace(inputs, tables=tables, settings={**inputs.settings, "cohort": {**inputs.settings["cohort"], **of_time}})


@pytest.fixture(scope="session")
def make_timed():
    """inputs -> the same study with times to an event."""
    return timed
