"""The second step of an ingest: images that have regions become volumes, and the regions on them masks."""

from __future__ import annotations

import json
from pathlib import Path

from radpipe.errors import RadpipeError
from radpipe.intake import ingest_table
from radpipe.intake.pairing import as_rows
from radpipe.intake.region_names import NamedVolume
from radpipe.stages import intake_work
from radpipe.stages._child import classify
from radpipe.stages._parallel import Task
from radpipe.stages.ingest_state import Ingest, failed_of


def convert(state: Ingest, *, own_only: bool = False) -> None:
    """Images that have regions, then the regions on them. own_only : leave transferred ones out."""
    state.pairs = [pair for pair in state.pairs if not (own_only and pair.transferred)]
    with_regions = dict.fromkeys(pair.image for pair in state.pairs)
    images = [image for key in with_regions if (image := state.images[key]).series is not None]
    digests = state.digests(file.path for image in images if image.series for file in image.series.files)
    tasks = []
    for image in images:
        assert image.series is not None
        found = [digests[file.path] for file in image.series.files]
        wrong = next((one for one in found if isinstance(one, RadpipeError)), None)
        if wrong is not None:
            image.failure = classify(wrong)
            continue
        settings = {"uneven": state.options.uneven, "suv": state.options.suv}
        key = state.key("images", files=found, chosen=image.series.chosen, **settings)
        described = state.store.session_folder / f"series-{key}.json"
        described.write_text(json.dumps(intake_work.series_row(image.series)), encoding="utf-8")
        folder = ingest_table.common_folder(image.files) if len(image.files) > 1 else image.files[0]
        tasks.append(Task(image.facts.key, key, {"series": str(described), **settings, **state.seen}, path=folder))
    result = state.map("images", "convert_series", tasks)
    failed = failed_of(tasks, result)
    for task in tasks:
        image = state.images[task.task_id]
        image.result = result.done.get(task.task_id)
        image.failure = None if image.result else failed[task.task_id]
    _draw(state)


def _draw(state: Ingest) -> None:
    tasks, about = [], {}
    for at, pair in enumerate(state.pairs):
        image, regions = state.images[pair.image], state.regions[pair.region]
        if image.result is None or image.series is None:
            continue
        transform = as_rows(pair.transform)
        parts = {"rois": list(pair.rois), "grid": image.result.row["grid"], "transform": transform, "kind": regions.facts.kind,
                 "transferred": pair.transferred}  # fmt: skip
        key = state.key("regions", file=regions.facts.sha256, **parts)
        tasks.append(Task(str(at), key, {"path": str(regions.path), **parts, **state.seen}, path=regions.relative))
        about[str(at)] = (pair, regions)
    result = state.map("regions", "draw_regions", tasks)
    failed = failed_of(tasks, result)
    for name, (pair, regions) in about.items():
        for number in pair.rois:
            if name in failed:
                regions.drawn[pair.image, number] = ({"failure": failed[name]}, Path())
            else:
                stored = result.done[name]
                regions.drawn[pair.image, number] = (
                    stored.row["regions"][str(number)],
                    stored.file(intake_work.mask_name(number)),
                )


def drawn_volumes(state: Ingest) -> list[NamedVolume]:
    """Every region on the image it was drawn on, for the census."""
    found = []
    for pair in state.pairs:
        if pair.transferred:
            continue
        regions, image = state.regions[pair.region], state.images[pair.image].facts
        names = {roi.number: roi.name for roi in regions.facts.rois}
        for number in pair.rois:
            row, _ = regions.drawn.get((pair.image, number), ({}, Path()))
            found.append(NamedVolume(names[number], image.patient_id, image.modality, row.get("volume_ml")))
    return found
