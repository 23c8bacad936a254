"""Image and mask of one case for its maps, read in a process of its own.

Who makes maps keeps kernels and blocks in memory for minutes, and needs neither ITK (90 MB) nor the image beyond the region. So a
process that has not loaded ITK leaves reading to another, which hands over what the maps look at, and ends.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from dataclasses import dataclass
from typing import IO, Any

from radpipe.core.grid import Grid
from radpipe.core.image import UNITS, Image, Mask
from radpipe.errors import RadpipeError, RunError
from radpipe.features.config import FeatureSettings
from radpipe.stages.cases import TableCase

_SIZE = struct.Struct("<q")


@dataclass(frozen=True)
class MapCase:
    """image, mask : the part that the settings look at (:func:`radpipe.features.maps.needed_part`). grid : of the whole image."""

    image: Image
    mask: Mask
    grid: Grid


def read_case(case: TableCase, settings: FeatureSettings) -> MapCase:
    """Errors are those of :func:`radpipe.stages.reading.read_pair`; RunError where the reading process was ended from outside."""
    if "SimpleITK" in sys.modules:
        return read_here(case, settings)
    command = [sys.executable, "-c", "from radpipe.stages.map_reading import answer; answer()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()) as child:
        assert child.stdin is not None and child.stdout is not None
        try:
            with child.stdin as file:
                _send(file, (case, settings))
            found = _received(child.stdout)
        except (EOFError, BrokenPipeError) as error:
            found = _ended(child.wait(), case)
            found.__cause__ = error
        except BaseException:
            child.kill()
            raise
    if isinstance(found, BaseException):
        raise found
    assert isinstance(found, MapCase)
    return found


def read_here(case: TableCase, settings: FeatureSettings) -> MapCase:
    """:func:`read_case` in this process."""
    from radpipe.features.needed import needed_part
    from radpipe.stages.measure import case_reading
    from radpipe.stages.reading import read_pair

    reading = case_reading(settings, case.label, case.label_channel, roi=case.roi, modality=case.modality)
    unit = UNITS.get(case.modality, "arbitrary")
    pair = read_pair(case.image, case.mask, reading, unit=unit, case_id=case.case_id, diagnostics=False)
    return MapCase(*needed_part(pair.image, pair.mask, settings), pair.image.grid)


def answer() -> None:
    """The child's side: a case and settings from standard input, a MapCase or the error to standard output."""
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # whatever a library prints is no part of the answer
        try:
            found: Any = read_here(*_received(sys.stdin.buffer))
        except (RadpipeError, MemoryError) as error:
            found = error
        _send(out, found)


def _environment() -> dict[str, str]:
    """The child imports this radpipe, wherever this process found it."""
    from radpipe import __file__ as package

    root = os.path.dirname(os.path.dirname(os.path.abspath(package)))
    return os.environ | {"PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}


def _ended(status: int, case: TableCase) -> RadpipeError:
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    return RunError(
        f"the process that reads the image and the mask ended early ({how}).",
        hint="Signal 9 is most often a lack of memory: close other programs, or crop the image.",
        case_id=case.case_id,
        path=case.image,
    )


def _send(file: IO[bytes], what: Any) -> None:
    """Arrays go as they lie in memory, not copied into the pickle."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(what, 5, buffer_callback=buffers.append)
    for part in (_SIZE.pack(len(buffers)), _SIZE.pack(len(head)), head):
        file.write(part)
    for buffer in buffers:
        raw = buffer.raw()
        file.write(_SIZE.pack(raw.nbytes))
        file.write(raw)
    file.flush()


def _received(file: IO[bytes]) -> Any:
    """EOFError where the other side ended before all was sent."""
    count, size = (_number(file) for _ in range(2))
    head = _exactly(file, size)
    return pickle.loads(head, buffers=[_exactly(file, _number(file)) for _ in range(count)])


def _number(file: IO[bytes]) -> int:
    return int(_SIZE.unpack(_exactly(file, _SIZE.size))[0])


def _exactly(file: IO[bytes], size: int) -> bytearray:
    room = bytearray(size)
    view = memoryview(room)
    while view:
        got = file.readinto(view)  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        view = view[got:]
    return room
