"""The half of each door that runs in a child process: read files, call the room, write into the folder it was given.

Every function here is ``f(payload, folder) -> row``: the payload holds ids, paths and settings (JSON values), the folder
is empty and becomes the stored result, the row goes into the stage's table. Nothing else is kept from one call to the next.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radpipe.core.case import Case
from radpipe.core.image import UNITS, Image, Mask
from radpipe.errors import EmptyRoiError, RadpipeError
from radpipe.io.volumes import read_image, read_mask, write_image, write_mask

Payload = dict[str, Any]
Row = dict[str, Any]


def _case(payload: Payload) -> Case:
    fields = {name: payload[name] for name in ("case_id", "patient_id", "modality", "label", "outcome")}
    return Case(**fields, image_path=Path(payload["image_path"]), mask_path=Path(payload["mask_path"]))


def read_case(payload: Payload) -> tuple[Image, Mask]:
    """The case's own image and given mask, on one grid; errors where they do not belong together.

    Where the settings resample image and mask anyway, a mask to be corrected keeps its own grid for that (extract only).
    """
    return _read(payload)


def _read(payload: Payload, *, resamples: bool = False) -> tuple[Image, Mask]:
    from radpipe.cohort.check import check_case
    from radpipe.stages.reading import Reading, read_pair

    case = _case(payload)
    reading = Reading(label=case.label, resamples=resamples, **payload.get("reading", {}))
    pair = read_pair(case.image_path, case.mask_path, reading, unit=UNITS[case.modality], case_id=case.case_id, diagnostics=False)
    if resamples and reading.correct_mask:
        return pair.image, pair.mask
    # Within geometryTolerance the grids are one; from here on nobody asks again.
    mask = Mask(pair.image.grid, pair.mask.voxels)
    check_case(pair.image, mask, case)
    return pair.image, mask


def check_case(payload: Payload, folder: Path) -> Row:
    """cohort: can the case be used at all?"""
    _, mask = _read(payload)
    return {"mask_volume_ml": mask.volume_ml}


def prepare_case(payload: Payload, folder: Path) -> Row:
    """preprocess: what the networks see."""
    from radpipe.preprocessing.config import PreprocessingSettings
    from radpipe.preprocessing.prepare import prepare

    image, mask = _read(payload)
    image, mask = prepare(image, mask, PreprocessingSettings.model_validate(payload["settings"]), payload["modality"])
    write_image(folder / "image.nii.gz", image)
    write_mask(folder / "mask.nii.gz", mask)
    return {"shape": list(image.grid.shape)}


def fit_segmenter(payload: Payload, folder: Path) -> Row:
    """segment: one network on the outlines of its training cases."""
    from radpipe.io.models import save_model
    from radpipe.segmentation.config import SegmentationSettings
    from radpipe.segmentation.train import fit_segmenter as fit

    examples = [
        (read_image(Path(image), case_id=case_id).voxels.astype(np.float32), read_mask(Path(mask), case_id=case_id).voxels)
        for case_id, image, mask in payload["examples"]
    ]
    losses: list[float] = []
    segmenter = fit(
        examples, SegmentationSettings.model_validate(payload["settings"]), seed=payload["seed"],
        on_epoch=lambda epoch, loss: losses.append(loss),
    )  # fmt: skip
    arrays, info = segmenter.state()
    save_model(folder, arrays, {**info, "train_cases": [case_id for case_id, _, _ in payload["examples"]]})
    return {"last_loss": losses[-1]}


def outline_case(payload: Payload, folder: Path) -> Row:
    """segment: one case by a network that never saw its patient; the mask lies on the case's own grid."""
    from radpipe.io.models import load_model
    from radpipe.preprocessing.resample import resample_image
    from radpipe.segmentation import metrics
    from radpipe.segmentation.config import SegmentationSettings
    from radpipe.segmentation.postprocess import to_mask
    from radpipe.segmentation.train import Segmenter

    settings = SegmentationSettings.model_validate(payload["settings"])
    arrays, info = load_model(Path(payload["network_folder"]))
    if payload["case_id"] in info["train_cases"]:
        raise RadpipeError(
            "the network that should outline this case was trained on it.",
            hint="This is a fault of radpipe, not of the data: please report it.",
            case_id=payload["case_id"], kind="leakage",
        )  # fmt: skip
    prepared = read_image(Path(payload["prepared_path"]), case_id=payload["case_id"])
    probability = Segmenter.from_state(arrays, info).predict(prepared.voxels.astype(np.float32))
    image, given = _read(payload)
    on_image = resample_image(Image(prepared.grid, probability.astype(np.float32), "probability"), image.grid)
    predicted = Mask(image.grid, to_mask(on_image.voxels, settings, image.grid.spacing_mm))
    if not predicted.voxels.any():
        raise EmptyRoiError(
            f"the network found no lesion (highest probability {float(probability.max()):.2f}, threshold {settings.threshold}).",
            hint="Look at the image; where the given outline is right, leave the case to masks: given or lower segmentation.threshold.",
            case_id=payload["case_id"], path=payload["image_path"],
        )  # fmt: skip
    write_mask(folder / "mask.nii.gz", predicted)
    # Three digits of a probability are more than it is good for, and compress to a fifth.
    write_image(folder / "probability.nii.gz", Image(image.grid, np.round(on_image.voxels, 3).astype(np.float32), "probability"))
    return {
        "dice": metrics.dice(predicted.voxels, given.voxels),
        "hd95_mm": metrics.hausdorff95_mm(predicted.voxels, given.voxels, image.grid.spacing_mm),
        "dice_no_look": metrics.dice(metrics.no_look_ellipsoid(image.grid.shape), given.voxels),
        "volume_given_ml": given.volume_ml,
        "volume_predicted_ml": predicted.volume_ml,
    }


def extract_case(payload: Payload, folder: Path) -> Row:
    """extract: every feature of one region, and why some are no measurement."""
    from radpipe.features.config import FeatureSettings
    from radpipe.features.extract import extract
    from radpipe.stages.reading import reading_of

    settings = FeatureSettings.model_validate(payload["settings"])
    image, mask = _read(payload, resamples=settings.feature_set == "pyradiomics" and reading_of(settings.params).resamples)
    if payload["roi"] == "predicted":
        mask = read_mask(Path(payload["predicted_path"]), case_id=payload["case_id"])
    extraction = extract(image, mask, settings)
    return {"features": extraction.row, "undefined": extraction.undefined}


def extract_perturbed(payload: Payload, folder: Path) -> Row:
    """select: every feature of one region with its given outline changed a little."""
    from radpipe.features.config import FeatureSettings
    from radpipe.features.extract import extract
    from radpipe.preprocessing.perturb import perturb_mask

    image, mask = _read(payload)
    changed = perturb_mask(mask, payload["change"], payload["amount"], np.random.default_rng(payload["seed"]))
    return {"features": extract(image, changed, FeatureSettings.model_validate(payload["settings"])).row}


def map_region(payload: Payload, folder: Path) -> Row:
    """extract: the feature maps of one region, and their statistics."""
    from radpipe.features.config import FeatureSettings
    from radpipe.features.map_statistics import map_statistics
    from radpipe.features.maps import extract_maps
    from radpipe.stages.map_store import MAPS_FILE, save_maps
    from radpipe.stages.reading import reading_of

    settings = FeatureSettings.model_validate(payload["settings"])
    image, mask = _read(payload, resamples=reading_of(settings.params).resamples)
    if payload["roi"] == "predicted":
        mask = read_mask(Path(payload["predicted_path"]), case_id=payload["case_id"])
    stride = payload["stride"]
    maps = extract_maps(image, mask, settings, stride=stride)
    save_maps(folder / MAPS_FILE, maps)
    values: dict[str, float] = {}
    undefined: dict[str, str] = {}
    if payload["statistics"]:
        values, undefined = map_statistics(maps.columns, maps.data, maps.centres, stride=stride)
    return {"features": values, "undefined": undefined, "centres": len(maps.centres)}


def find_habitats(payload: Payload, folder: Path) -> Row:
    """habitats: those of one outer fold, from its training part alone, and what every case of the fold has of them."""
    from radpipe.habitats.config import HabitatSettings
    from radpipe.habitats.fit import draw, fit_habitats
    from radpipe.io.models import save_model
    from radpipe.stages.map_store import LABELS_FILE, load_maps, save_labels

    settings = HabitatSettings.model_validate(payload["settings"])
    columns, seed = tuple(payload["columns"]), payload["seed"]

    def values_of(case_id: str) -> np.ndarray:
        maps = load_maps(Path(payload["paths"][case_id]))
        return np.stack([maps.values(name) for name in columns], axis=1)

    # Drawn case by case: whole maps of a thousand cases need not fit into memory together.
    drawn = {case_id: draw(values_of(case_id), settings.voxels_per_case, case_id, seed) for case_id in payload["train"]}
    habitats = fit_habitats(drawn, columns, settings, seed=seed)
    unseen = set(payload["paths"]) - set(payload["train"])
    if unseen.intersection(habitats.saw):
        raise RadpipeError(
            "habitats were fitted on a case outside the training part.",
            hint="This is a fault of radpipe, not of the data: please report it.", kind="leakage",
        )  # fmt: skip
    cases, labels = {}, {}
    for case_id in payload["paths"]:
        values = values_of(case_id)
        labels[case_id] = habitats.assign(values)
        row, why = habitats.describe(values, labels[case_id])
        cases[case_id] = {"features": row, "undefined": why}
    save_labels(folder / LABELS_FILE, labels)
    save_model(folder, *habitats.state())
    means = [dict(zip(columns, own, strict=True)) for own in habitats.means.tolist()]
    choices = [
        {"k": choice.k, "agreement": choice.agreement, "spread": choice.spread, "chosen": choice.chosen}
        for choice in habitats.choices
    ]
    return {"cases": cases, "shares": habitats.shares.tolist(), "means": means, "choices": choices}


def select_fold(payload: Payload, folder: Path) -> Row:
    """select: inputs for the network of one outer fold, from its training part, and its selection part where the selector asks it."""
    import hashlib

    from radpipe.models.guard import refuse_seen
    from radpipe.selection.config import SelectionSettings
    from radpipe.selection.robustness import icc_of_repeats
    from radpipe.selection.select import SelectionPart, select_inputs
    from radpipe.selection.target import Target

    settings = SelectionSettings.model_validate(payload["settings"])
    frame = pd.read_parquet(payload["features"]).set_index("case_id")
    parts = payload["parts"]
    saw = sorted({patient for part in parts.values() for patient in part["patient_ids"]})
    refuse_seen(saw, payload["test_patients"], model="input selection")
    table = frame.loc[parts["train"]["case_ids"], payload["columns"]]
    asked: dict[str, Any] = {}
    if "selection" in parts:
        from radpipe.models.ann.batch import SubsetTrainer
        from radpipe.models.config import AnnParams

        chooses = parts["selection"]
        asked["selection"] = SelectionPart(frame.loc[chooses["case_ids"], payload["columns"]], Target.told(chooses))
        asked["trainer"] = SubsetTrainer(AnnParams.model_validate(payload["network"]))
    if payload["repeats"]:
        asked["icc"] = icc_of_repeats(pd.read_parquet(payload["repeats"]))
    chosen = select_inputs(table, Target.told(parts["train"]), settings, seed=payload["seed"], **asked)
    early = ("constant", "missing", "not_robust", "redundant")
    fit = {
        "n_train": len(table), "n_selection": len(parts["selection"]["case_ids"]) if "selection" in parts else 0,
        "n_candidates": int((~chosen["reason"].isin(early)).sum()), "n_kept": int(chosen["kept"].sum()),
        "steps": " ".join(f"{inputs}:{error:.6g}" for inputs, error in chosen.attrs["steps"]),
        "saw_sha256": hashlib.sha256("\n".join(saw).encode()).hexdigest(),
    }  # fmt: skip
    return {"rows": chosen.to_dict("records"), "fit": fit, "saw": saw}


def crop_case(payload: Payload, folder: Path) -> Row:
    """train: the box around the lesion that an image network sees."""
    from radpipe.preprocessing.crop import crop_around
    from radpipe.preprocessing.resample import resample_mask

    prepared = read_image(Path(payload["prepared_path"]), case_id=payload["case_id"])
    channel = payload.get("reading", {}).get("label_channel")
    mask = read_mask(Path(payload["mask_path"]), label=payload["label"], label_channel=channel, case_id=payload["case_id"])
    x, y, z = payload["crop_voxels"]
    crop = crop_around(
        prepared,
        resample_mask(mask, prepared.grid),
        (z, y, x),
        mask_channel=payload["mask_channel"],
        margin_mm=payload["margin_mm"],
    )
    np.save(folder / "crop.npy", crop, allow_pickle=False)
    return {"shape": list(crop.shape)}


def fit_model(payload: Payload, folder: Path) -> Row:
    """train: one model on one outer fold, and what it says of every case of that fold."""
    from radpipe.io.models import read_weights, save_model
    from radpipe.models.fit import fit_and_predict

    table = None
    if payload["table"]:
        frame = pd.read_parquet(payload["table"]).set_index("case_id")
        table = frame.loc[payload["case_ids"], payload["columns"]]
    images = np.stack([np.load(path, allow_pickle=False) for path in payload["crops"]]) if payload["crops"] else None
    weights = None
    if payload.get("weights"):
        from radpipe.models.cnn3d.transfer import Weights

        weights = Weights(*read_weights(Path(payload["weights"])), path=payload["weights"])
    result = fit_and_predict(
        payload["params"], case_ids=payload["case_ids"], patient_ids=payload["patient_ids"], y=payload["y"], roles=payload["roles"],
        table=table, images=images, seed=payload["seed"], **payload.get("outcome", {}), weights=weights, upstream=payload.get("upstream"),
    )  # fmt: skip
    save_model(folder, result.arrays, result.info)
    return {
        "facts": result.facts,
        "probabilities": result.probabilities,
        "scores": result.scores,
        "saw_sha256": result.saw_sha256,
        "saw": result.saw,
        "history": result.history,
    }
