"""One case, from its two files to its row: what a worker's child does, and what the command does by itself for a single case.

No pandas, no Dask, no torch: a single case is done in about a second.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from radpipe.core.image import UNITS
from radpipe.features.config import FeatureSettings
from radpipe.stages.reading import Pair, Reading, read_pair, reading_of

Payload = dict[str, Any]
_SETTINGS = "diagnostics_Configuration_Settings"


def measure_case(payload: Payload, folder: Path | None = None) -> dict[str, Any]:
    """tabulate: features, undefined and diagnostics of one region (JSON values).

    payload : case_id, image_path, mask_path, label and label_channel (None for the settings' own), roi, modality, settings,
    threads, first_channel (of a file that holds several masks, take the first where nobody says which). Errors are those of
    the reader and of :func:`radpipe.features.extract.extract`, with the case's id.
    """
    from radpipe.errors import RadpipeError

    settings = FeatureSettings.model_validate(payload["settings"])
    reading = case_reading(
        settings, payload["label"], payload["label_channel"], first_channel=payload.get("first_channel", False),
        roi=payload.get("roi", ""), modality=payload["modality"],
    )  # fmt: skip
    pair = read_pair(
        Path(payload["image_path"]), Path(payload["mask_path"]), reading, unit=UNITS.get(payload["modality"], "arbitrary"),
        case_id=payload["case_id"],
    )  # fmt: skip
    own = {"label": payload["label"], "label_channel": payload["label_channel"]}
    try:
        return measured(pair, settings, own, threads=payload.get("threads", 1))
    except RadpipeError as error:
        raise error.about(case_id=payload["case_id"]) from error


def case_reading(
    settings: FeatureSettings, label: int | None, label_channel: int | None, *, first_channel: bool = False, roi: str = "",
    modality: str = "",
) -> Reading:  # fmt: skip
    """How a case is read: as the settings say, and then as the case itself does."""
    params = settings.params if settings.feature_set == "pyradiomics" else {}
    reading = replace(reading_of(params).of_case(label, label_channel), roi=roi, modality=modality)
    return reading.of_case(None, 0) if first_channel and reading.label_channel is None else reading


def measured(pair: Pair, settings: FeatureSettings, own: dict[str, Any], *, threads: int = 1) -> dict[str, Any]:
    """features, undefined and diagnostics of a pair. own : settings that the case itself gave, for the diagnostics."""
    from radpipe.features.extract import extract

    extraction = extract(pair.image, pair.mask, settings, threads=threads)
    found = whole_diagnostics(extraction.diagnostics, pair, own)
    return {"features": extraction.row, "undefined": extraction.undefined, "diagnostics": found}


def whole_diagnostics(of_extraction: dict[str, Any], pair: Pair, own: dict[str, Any]) -> dict[str, Any]:
    """With what the mask's file and the case itself told; empty where none were asked for."""
    from radpipe.features.diagnostics import in_order

    found = dict(of_extraction)
    if found:
        found |= pair.diagnostics
        found[_SETTINGS] = {**found[_SETTINGS], **{name: value for name, value in own.items() if value is not None}}
    return in_order(found)
