"""Many cases -> feature maps: a folder for each in the workers' children, or PyRadiomics' own files."""

from __future__ import annotations

import re
import shutil
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radpipe.errors import RadpipeError, RunError
from radpipe.features.config import FeatureSettings
from radpipe.io.files import cannot_write
from radpipe.io.map_folder import check_folder, is_complete
from radpipe.io.maps import write_map
from radpipe.stages._child import classify
from radpipe.stages.cases import TableCase, TableCases
from radpipe.stages.map_reading import read_case
from radpipe.stages.maps import (
    MapOptions,
    Say,
    announce_compiling,
    case_key,
    counted,
    duration,
    free_bytes,
    maps_of,
    memory,
    plan_case,
    refuse_too_large,
    size,
    summary,
    write_maps,
)
from radpipe.stages.tabulate import Limits, Measured, failure_of

if TYPE_CHECKING:
    from radpipe.stages._progress import Progress

STAGE = "maps"
FUNCTION = "radpipe.stages.map_cases:map_case"
COLUMNS = ("case_id", "row", "folder", "maps", "centres")
_PATIENCE = 20  # times the estimate that a case may take
_LIMITS = Limits()


def map_here(
    cases: TableCases,
    settings: FeatureSettings,
    out: Path,
    options: MapOptions,
    *,
    progress: Progress | None = None,
    rerun: str = "",
) -> list[Measured]:
    """Every case one after the other in this process, the maps of a single one in ``out`` itself."""
    found = []
    folders = case_folders(cases, out) if len(cases.cases) > 1 else {cases.cases[0].row: out}
    for case in cases.cases:
        try:
            if case.row in cases.problems:
                raise cases.problems[case.row]
            done = write_maps(case, settings, folders[case.row], options, progress)
            found.append(Measured(case, result={**done, "folder": str(folders[case.row])}))
        except (RadpipeError, MemoryError) as error:
            if isinstance(error, RunError):  # a folder or a disk that no other case could use either
                raise
            found.append(Measured(case, failure=failure_of(case, classify(error), rerun)))
    return found


def case_folders(cases: TableCases, out: Path) -> dict[int, Path]:
    """row -> the case's folder, named by its id; by its row too where an id is there twice."""
    names = {case.row: re.sub(r"[^A-Za-z0-9._-]+", "_", case.case_id).strip("._") or "case" for case in cases.cases}
    several = Counter(name.lower() for name in names.values())
    return {row: out / (name if several[name.lower()] == 1 else f"{name}_row{row}") for row, name in names.items()}


def map_all(
    cases: TableCases,
    settings: FeatureSettings,
    out: Path,
    options: MapOptions,
    *,
    workers: int | None = None,
    scheduler: str = "local",
    limits: Limits = _LIMITS,
    progress: Progress | None = None,
    rerun: str = "",
) -> list[Measured]:
    """Every case in the workers' children, a folder each; cases whose maps are all there are not computed again.

    RunError, before any map is computed, where the maps of all cases would not fit on the disk.
    """
    from radpipe.core.keys import content_key
    from radpipe.io.store import Store
    from radpipe.stages._parallel import Pool, Task, map_tasks
    from radpipe.stages._progress import Progress

    progress = progress or Progress(quiet=True)
    kept = out / ".radpipe"
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    folders = case_folders(cases, out)
    problems, done, left = dict(cases.problems), {}, []
    pool = Pool(
        workers or "auto", scheduler=scheduler, memory_mb=limits.memory_mb, timeout_s=limits.timeout_s, log=kept / "logs" / "run.log"
    )  # fmt: skip
    for case, answer in zip(cases.cases, _states(cases, settings, options, folders, pool.workers), strict=True):
        if isinstance(answer, RadpipeError):
            problems[case.row] = answer.about(case_id=case.case_id)
        elif answer is not None:
            done[case.row] = answer
        else:
            left.append(case)
    seconds = _tell_all(left, settings, out, options, pool.workers, progress.say) if left else {}
    run = uuid.uuid4().hex  # results lie in the cases' folders, never in the store
    tasks = [
        Task(
            task_id=str(case.row),
            key=content_key(stage=STAGE, run=run, row=case.row),
            payload={
                "case_id": case.case_id, "row": case.row, "image_path": str(case.image), "mask_path": str(case.mask),
                "label": case.label, "label_channel": case.label_channel, "modality": case.modality, "roi": case.roi,
                "settings": settings.model_dump(mode="json"), "folder": str(folders[case.row]),
                "layout": options.layout, "stride": options.stride, "threads": options.threads,
            },
            case_id=case.case_id,
            path=str(case.mask),
            timeout_s=max(limits.timeout_s, _PATIENCE * seconds.get(case.row, 0.0)),
        )
        for case in left
    ]  # fmt: skip
    with Store(kept) as store, pool:
        store.sweep()
        result = map_tasks(tasks, stage=STAGE, function=FUNCTION, pool=pool, store=store, progress=progress)
        done |= {int(task_id): stored.row for task_id, stored in result.done.items()}
    shutil.rmtree(kept / STAGE, ignore_errors=True)
    failed = dict(zip((task.task_id for task in tasks if task.task_id not in result.done), result.failures, strict=True))
    found = []
    for case in cases.cases:
        if case.row in problems:
            found.append(Measured(case, failure=failure_of(case, classify(problems[case.row]), rerun)))
        elif case.row in done:
            found.append(Measured(case, result={**done[case.row], "folder": str(folders[case.row])}))
        else:
            found.append(Measured(case, failure=failure_of(case, failed[str(case.row)], rerun)))
    return found


def map_case(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    """maps: one case in a worker's child; the maps are written into their own folder, not into ``workdir``."""
    case = TableCase(
        payload["case_id"], payload["row"], Path(payload["image_path"]), Path(payload["mask_path"]), payload["label"],
        payload["label_channel"], payload["modality"], payload["roi"],
    )  # fmt: skip
    options = MapOptions(payload["layout"], payload["stride"], payload["threads"])
    return write_maps(case, FeatureSettings.model_validate(payload["settings"]), Path(payload["folder"]), options)


def _states(
    cases: TableCases, settings: FeatureSettings, options: MapOptions, folders: dict[int, Path], threads: int
) -> list[dict[str, Any] | RadpipeError | None]:
    """Of every case: its maps are there; what is wrong with it already; None where it is to be computed."""

    def state(case: TableCase) -> dict[str, Any] | RadpipeError | None:
        if case.row in cases.problems:
            return cases.problems[case.row]
        try:
            key, _ = case_key(case, settings, options)
            check_folder(folders[case.row], key)
            return summary(folders[case.row], key, found=True) if is_complete(folders[case.row], key) else None
        except RadpipeError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(state, cases.cases))


def _tell_all(
    cases: Sequence[TableCase], settings: FeatureSettings, out: Path, options: MapOptions, workers: int, say: Say
) -> dict[int, float]:
    """row -> seconds that the case should take; the sum of all is shown, and RunError where they do not fit on the disk.

    Cost a voxel is measured on the first case that can be used; regions are counted in the masks.
    """
    from radpipe.features.map_estimate import estimate, kept_bytes

    first, what = None, None
    for case in cases:
        try:
            first = plan_case(read_case(case, settings), settings, options.stride)
        except RadpipeError:  # it fails where it is computed, and is reported there
            continue
        announce_compiling(say)
        what = estimate(first)
        break
    if first is None or what is None:
        return {}
    seconds: dict[int, float] = {}
    centres, kept = 0.0, 0
    for case in cases:
        try:
            voxels, shape = _region_size(case, settings)
        except RadpipeError:
            continue
        n = voxels / options.stride**3
        seconds[case.row] = n * what.seconds / len(first.centres) / options.threads
        centres += n
        kept += kept_bytes(len(first.columns), round(n), shape)
    together = workers * options.threads
    say(f"{len(first.columns)} maps of each of {len(cases)} cases, {centres:,.0f} voxels in all")
    say(
        f"expected: {duration(sum(seconds.values()) / min(together, max(1, len(seconds)) * options.threads))} on "
        f"{counted(workers, 'worker')} of {counted(options.threads, 'thread')}, {memory(what)} of memory a worker, at most "
        f"{size(kept)} on the disk ({size(free_bytes(out))} free)"
    )
    refuse_too_large(kept, out)
    return seconds


def _region_size(case: TableCase, settings: FeatureSettings) -> tuple[float, tuple[int, int, int]]:
    """(voxels of the region, size of the grid) as the maps will have them, near enough."""
    from radpipe.io.volumes import is_dicom, read_label_map
    from radpipe.stages.measure import case_reading
    from radpipe.stages.reading import read_pair

    reading = case_reading(settings, case.label, case.label_channel, roi=case.roi, modality=case.modality)
    if is_dicom(case.mask):
        region = read_pair(case.image, case.mask, reading, case_id=case.case_id, diagnostics=False).mask
    else:
        labels = read_label_map(case.mask, label_channel=reading.label_channel, case_id=case.case_id)
        region = labels.region(reading.label)
    voxels, grid = float(region.voxels.sum()), region.grid
    spacing = _new_spacing(settings, reading.resamples, grid.spacing_mm)
    if spacing is not None:
        ratio = 1.0
        for before, after in zip(grid.spacing_mm[::-1], spacing, strict=True):
            ratio *= before / after if after else 1.0
        return voxels * ratio, grid.shape
    return voxels, grid.shape


def _new_spacing(
    settings: FeatureSettings, resamples: bool, old_mm: tuple[float, float, float]
) -> tuple[float, float, float] | None:
    """(x, y, z) mm, of the grid the extraction resamples to; None where it does not. old_mm : (z, y, x)."""
    if settings.feature_set == "ibsi":
        own = settings.ibsi_parameters
        if own.resample is None:
            return None
        z, y, x = own.resample.spacing_zyx(old_mm, own.dimension)
        return x, y, z
    spacing = settings.parameters.setting.resampledPixelSpacing
    if not resamples or spacing is None:
        return None
    x, y, z = spacing
    return x, y, z


def maps_as_pyradiomics(
    cases: TableCases, settings: FeatureSettings, out: Path, *, threads: int = 1, rerun: str = ""
) -> list[Measured]:
    """Case-<number>_<feature>.nrrd in ``out``, as PyRadiomics writes them; the features of a case are the paths of its maps."""
    from radpipe.stages.measure import case_reading
    from radpipe.stages.reading import read_pair

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    found = []
    for number, case in enumerate(cases.cases, start=1):
        own = {"label": case.label, "label_channel": case.label_channel, "voxelBased": True}  # as PyRadiomics' command notes it
        try:
            if case.row in cases.problems:
                raise cases.problems[case.row]
            reading = case_reading(settings, case.label, case.label_channel, first_channel=True)
            pair = read_pair(case.image, case.mask, reading, case_id=case.case_id)
            made = maps_of(pair, settings, own, threads=threads)
            paths: dict[str, str] = {}
            for column in made["maps"].columns:
                image = made["maps"].cropped(column)
                path = out / f"Case-{number}_{column}.nrrd"
                z, y, x = (slice(0, side) for side in image.grid.shape)
                write_map(path, column, image.voxels, (z, y, x), image.grid, made["maps"].initial)
                paths[column] = str(path)
            found.append(Measured(case, result={"features": paths, "undefined": {}, "diagnostics": made["diagnostics"]}))
        except (RadpipeError, MemoryError) as error:
            if isinstance(error, RunError):
                raise
            if isinstance(error, RadpipeError):
                error = error.about(case_id=case.case_id, path=case.mask)
            found.append(Measured(case, failure=failure_of(case, classify(error), rerun)))
    return found
