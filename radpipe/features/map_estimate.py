"""What an extraction of maps will take, told before it starts: measured on a few of its own centres, on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

from radpipe.features.map_frame import MapPlan

SAMPLE = 256
_PACKED_PER_S, _SUMMED_PER_S = 100e6, 1e9  # bytes, on a core of a 2-core x86-64 machine
_VALUE_BYTES = 4
_BACKGROUND = 1.2e-3  # of its bytes is what the packed part of a map without a value takes


@dataclass(frozen=True)
class Estimate:
    """seconds : of the clock, with the threads asked for. memory_bytes : beyond what the process has before it starts.
    disk_bytes : at most, while it runs: all maps, and one response's blocks before they become maps. kept_bytes : of it afterwards."""

    seconds: float
    memory_bytes: int
    disk_bytes: int
    kept_bytes: int


def estimate(plan: MapPlan, *, threads: int = 1, sample: int = SAMPLE) -> Estimate:
    """Prepares the first response, and measures up to ``sample`` centres spread over the region (compiling the kernels first,
    where they are not yet; that is not counted)."""
    began = time.perf_counter()
    windows = plan.source.windows(0)
    preparing = time.perf_counter() - began
    n = len(plan.centres)
    computing = 0.0
    if windows is not None:
        plan.source.measured(windows, slice(0, 1))
        few = slice(0, n, max(1, n // sample))
        began = time.perf_counter()
        plan.source.measured(windows, few)
        computing = (time.perf_counter() - began) / len(range(n)[few]) * n
    responses = len(plan.responses)
    kept = kept_bytes(len(plan.columns), n, plan.grid.shape)
    return Estimate(
        seconds=responses * (preparing + computing / threads) + _writing_s(plan) / threads,
        memory_bytes=2 * plan.window_bytes + (threads + 1) * 3 * plan.block * plan.features * 8,
        disk_bytes=kept + plan.features * n * _VALUE_BYTES,
        kept_bytes=kept,
    )


def _writing_s(plan: MapPlan) -> float:
    """Packing the planes that hold the box, and the checksum over all; seconds of one thread."""
    _, height, width = plan.grid.shape
    packed = (plan.box[0].stop - plan.box[0].start) * (plan.box[1].stop - plan.box[1].start) * width
    voxels = plan.grid.shape[0] * height * width
    return float(len(plan.columns) * _VALUE_BYTES * (packed / _PACKED_PER_S + voxels / _SUMMED_PER_S))


def kept_bytes(columns: int, centres: int, shape: tuple[int, int, int]) -> int:
    """Of all maps on the disk, at most: values do not pack, what lies around them does."""
    around = int(shape[0] * shape[1] * shape[2] * _VALUE_BYTES * _BACKGROUND) + 2000
    return columns * (centres * _VALUE_BYTES + around)
