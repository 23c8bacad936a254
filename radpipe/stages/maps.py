"""Images and masks -> feature maps on the disk: the door of ``radpipe extract --mode voxel``.

What it takes is estimated and shown before it starts, and refused where it would not fit on the disk. Values are written block by
block as they are computed; the same command carries on after a kill, with the same bytes in the end.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from radpipe.errors import ConfigError, RadpipeError, RunError
from radpipe.features.config import FeatureSettings
from radpipe.io.files import sha256_path
from radpipe.io.map_folder import MapFolder, check_folder, is_complete
from radpipe.io.maps import FORMATS
from radpipe.stages.cases import TableCase
from radpipe.stages.map_reading import MapCase, read_case

if TYPE_CHECKING:
    from radpipe.features.map_estimate import Estimate
    from radpipe.features.map_frame import MapPlan
    from radpipe.stages._progress import Progress
    from radpipe.stages.reading import Pair

STAGE = "maps"
BLOCK = 4096  # of the store; part of what a resumed run finds, so no setting changes it
_ROOMS = ("core", "features", "filters", "io", "preprocessing")
_LIBRARIES = ("numba", "numpy", "pywavelets", "scipy", "simpleitk")
_SLACK = 50 * 2**20  # bytes of the disk that are left free
Say = Callable[[str], None]


@dataclass(frozen=True)
class MapOptions:
    """layout : nrrd, nifti or zarr. stride : see :func:`radpipe.features.maps.plan_maps`. threads : of one case."""

    layout: str = "nrrd"
    stride: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        if self.layout not in FORMATS:
            raise ConfigError(f"there is no format {self.layout!r} of maps.", hint=f"Choose one of {', '.join(FORMATS)}.")
        if self.stride < 1 or self.threads < 1:
            raise ConfigError(f"stride is {self.stride}, threads {self.threads}.", hint="Use 1 or more of each.")


def write_maps(
    case: TableCase, settings: FeatureSettings, folder: Path, options: MapOptions = MapOptions(), progress: Progress | None = None
) -> dict[str, Any]:
    """All maps of one case in ``folder``; {"maps", "centres", "found"}, found : whether they were there already.

    Errors are those of the reader and of :func:`radpipe.features.maps.plan_maps`, with the case's id; RunError where the folder
    cannot be used or the maps do not fit on the disk.
    """
    from radpipe.stages._progress import Progress

    progress = progress or Progress(quiet=True)
    key, about = case_key(case, settings, options)
    check_folder(folder, key)
    if is_complete(folder, key):
        progress.say(f"{folder}: all maps are there from before")
        return summary(folder, key, found=True)
    try:
        plan = plan_case(read_case(case, settings), settings, options.stride)
    except RadpipeError as error:
        raise error.about(case_id=case.case_id, path=case.mask) from error
    announce_compiling(progress.say)
    _tell(plan, options, folder, progress.say)
    with MapFolder(folder, key, options.layout) as store:
        store.begin(plan.columns, plan.centres, plan.grid, plan.box, plan.initial, about)
        _run(plan, store, _todo(plan, store), options.threads, progress)
        store.finish()
    return summary(folder, key, found=False)


def _run(plan: MapPlan, store: MapFolder, todo: dict[int, list[Any]], threads: int, progress: Progress) -> None:
    from radpipe.features.maps import computed

    starts = [block.start for block in plan.blocks if block.response == 0]
    missing = [block for blocks in todo.values() for block in blocks]
    last = {blocks[-1]: response for response, blocks in todo.items() if blocks}

    def close(response: int) -> None:
        store.write_response(response, _columns(plan, response), starts, threads)

    with progress.work("maps", len(plan.blocks)) as shown:
        for _ in range(len(plan.blocks) - len(missing)):
            shown.advance(found=True)
        for response, blocks in todo.items():
            if not blocks:  # all its blocks are there, but not all its maps
                close(response)
        for block, values in computed(plan, missing, threads=threads):
            store.write_block(block.response, block.start, values)
            if block in last:
                close(last[block])
            shown.advance()


def _todo(plan: MapPlan, store: MapFolder) -> dict[int, list[Any]]:
    """response -> its blocks that are not on the disk, of the responses whose maps are not all there."""
    todo: dict[int, list[Any]] = {
        response: [] for response in range(len(plan.responses)) if not store.written(_columns(plan, response))
    }
    for block in plan.blocks:
        if block.response in todo and not store.has_block(block.response, block.start, (plan.features, block.stop - block.start)):
            todo[block.response].append(block)
    return todo


def _columns(plan: MapPlan, response: int) -> tuple[str, ...]:
    return plan.columns[response * plan.features : (response + 1) * plan.features]


def plan_case(case: MapCase, settings: FeatureSettings, stride: int) -> MapPlan:
    from radpipe.features.maps import plan_maps

    return plan_maps(case.image, case.mask, settings, stride=stride, block=BLOCK, grid=case.grid)


def case_key(case: TableCase, settings: FeatureSettings, options: MapOptions) -> tuple[str, dict[str, Any]]:
    """(content key of the case's maps, what else of it stands in maps.json)."""
    from radpipe import __version__
    from radpipe.core.keys import content_key

    about = {
        "made_by": f"radpipe {__version__}",
        "image_sha256": sha256_path(case.image),
        "mask_sha256": sha256_path(case.mask),
        "label": case.label,
        "label_channel": case.label_channel,
        **({"roi": case.roi} if case.roi else {}),
        "stride": options.stride,
        "block": BLOCK,
        "settings": _finite(settings.model_dump(mode="json")),
    }
    return content_key(stage=STAGE, engine=_engine(), layout=options.layout, **about), about


def _finite(value: Any) -> Any:
    """JSON has no NaN, and initValue may be one."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


@cache
def _engine() -> str:
    """What maps depend on besides their inputs: the source that computes them, and the libraries it uses."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    sources = [source for room in _ROOMS for source in sorted((package / room).rglob("*.py"))]
    for source in [*sources, Path(__file__), *(Path(__file__).with_name(name) for name in ("map_reading.py", "reading.py"))]:
        digest.update(str(source.relative_to(package)).encode() + b"\0" + source.read_bytes() + b"\0")
    for library in _LIBRARIES:
        digest.update(f"{library}={metadata.version(library)};".encode())
    return digest.hexdigest()[:16]


def summary(folder: Path, key: str, *, found: bool) -> dict[str, Any]:
    with MapFolder(folder, key, "") as store:
        return {"maps": len(store.columns), "centres": store.centres, "found": found}


# what it takes


def _tell(plan: MapPlan, options: MapOptions, folder: Path, say: Say) -> None:
    """The estimate, before anything is written; RunError where the disk is too small."""
    from radpipe.features.map_estimate import estimate

    what = estimate(plan, threads=options.threads)
    z, y, x = plan.window
    say(
        f"{len(plan.columns)} maps at {len(plan.centres):,} voxels, each from a window of {x} x {y} x {z}"
        + (f", on {len(plan.responses)} images" if len(plan.responses) > 1 else "")
    )
    for note in plan.notes:
        say(note)
    say(
        f"expected: {duration(what.seconds)} on {counted(options.threads, 'thread')}, {memory(what)} of memory, at most "
        f"{size(what.disk_bytes)} on the disk ({size(free_bytes(folder))} free)"
    )
    refuse_too_large(what.disk_bytes, folder)


def refuse_too_large(needed: int, folder: Path) -> None:
    """RunError where that many bytes would not fit beside ``folder``'s own files."""
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
    free = free_bytes(folder)
    if needed - there + _SLACK > free:
        raise RunError(
            f"the maps would take up to {size(needed)}, the disk has {size(free)} free, and {size(_SLACK)} of it are to stay free.",
            hint="Name a folder on a larger disk, take fewer features or image types, or a larger --stride.",
            path=folder,
        )


def free_bytes(folder: Path) -> int:
    """On the disk of a folder, which need not be there yet."""
    return shutil.disk_usage(next(path for path in (folder, *folder.absolute().parents) if path.is_dir())).free


def memory(what: Estimate) -> str:
    import psutil

    return size(psutil.Process().memory_info().rss + what.memory_bytes)


def size(count: float) -> str:
    """Bytes in words."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def duration(seconds: float) -> str:
    """Seconds in words, to about two figures."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")


def announce_compiling(say: Say) -> None:
    """Say it where the first maps on this machine wait for the compiler."""
    from radpipe.features._kernels._jit import cache_folder

    folder = cache_folder()
    if folder is None or not any(folder.rglob("window_*.nbi")):
        say("the kernels of feature maps are compiled now, once on this machine: about half a minute")


def maps_of(pair: Pair, settings: FeatureSettings, own: dict[str, Any], *, threads: int = 1) -> dict[str, Any]:
    """{"maps": FeatureMaps in float64, "diagnostics": as of a row of features}. own : settings that the case itself gave."""
    from radpipe.features import diagnostics
    from radpipe.features.loading import load
    from radpipe.features.maps import extract_maps
    from radpipe.stages.measure import whole_diagnostics

    maps = extract_maps(pair.image, pair.mask, settings, threads=threads, dtype=np.float64)
    found: dict[str, Any] = {}
    if diagnostics.wanted(settings.params):
        setting = settings.parameters.setting
        loaded = load(pair.image, pair.mask, setting)
        found = diagnostics.diagnose(pair.image, pair.mask, loaded, settings.params, setting)
    return {"maps": maps, "diagnostics": whole_diagnostics(found, pair, own)}
