"""How kernels are compiled: on first call, once per machine, cached on disk for all later processes and workers.

numba's own cache looks at the date of the file a kernel stands in. It does not notice an edited helper in another
file, and it writes beside the source, which may be read-only. So the cache lies in the user's cache folder (or below
``NUMBA_CACHE_DIR`` where that is set), in a sub-folder named by a hash of every kernel source, of numba, Python and
the processor.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import llvmlite.binding
import numba
import numpy as np
from numba.core import config
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
LevelArray: TypeAlias = NDArray[np.int32]
Bytes: TypeAlias = NDArray[np.uint8]


def cache_key() -> str:
    """20 hex digits that change with any kernel source, with numba, Python or the processor."""
    digest = hashlib.sha256()
    machine = (numba.__version__, sys.version, platform.machine(), llvmlite.binding.get_host_cpu_name())
    digest.update("\n".join(machine).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:20]


def cache_folder() -> Path | None:
    """The folder compiled kernels are kept in; made if need be. None where no place can be written to."""
    name = f"kernels-{cache_key()}"
    for parent in _places():
        folder = parent / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _is_ours(folder) and os.access(folder, os.W_OK | os.X_OK):
                return folder
        except OSError:
            continue
    return None


def _places() -> list[Path]:
    places = []
    if os.environ.get("NUMBA_CACHE_DIR"):
        places.append(Path(os.environ["NUMBA_CACHE_DIR"]) / "radpipe")
    home = os.path.expanduser("~")
    if sys.platform == "darwin":
        places.append(Path(home, "Library", "Caches", "radpipe"))
    elif os.environ.get("XDG_CACHE_HOME"):
        places.append(Path(os.environ["XDG_CACHE_HOME"]) / "radpipe")
    else:
        places.append(Path(home, ".cache", "radpipe"))
    user = os.getuid() if hasattr(os, "getuid") else "user"
    places.append(Path(tempfile.gettempdir()) / f"radpipe-{user}")
    return places


def _is_ours(folder: Path) -> bool:
    """Cached code is run as it lies: a folder that somebody else owns or may write to is not used."""
    if not hasattr(os, "getuid"):
        return True
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@contextmanager
def _unasked_for_blas() -> Iterator[None]:
    """While numba's array functions may be imported: without their probe for BLAS, which imports scipy.linalg, a quarter of a
    second, and no kernel multiplies matrices. radpipe depends on scipy, so the probe's answer is known; who does use numba's
    matrix functions in the same process gets scipy.linalg then."""
    from numba.np import linalg

    probe = getattr(linalg, "ensure_blas", None)
    if probe is None:  # another numba: it may probe as it likes
        yield
        return
    linalg.ensure_blas = lambda: None
    try:
        yield
    finally:
        linalg.ensure_blas = probe


def _load_array_functions() -> None:
    with _unasked_for_blas():
        import numba.np.arraymath  # noqa: F401


class _Cache(FunctionCache):
    """numba's cache of a kernel on disk, without what numba does before it looks there: it imports and registers all that can be
    compiled, a sixth of a second in every process. Compiled code needs the runtime alone; the compiler prepares itself."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors(), _unasked_for_blas():
            found = self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        if found is None:
            _load_array_functions()
        return found


_FOLDER = cache_folder()
_CACHE = _Cache if hasattr(FunctionCache, "_load_overload") else FunctionCache  # another numba: it may prepare as it likes
if _FOLDER is None or _CACHE is FunctionCache:
    _load_array_functions()


def compiled() -> bool:
    """Whether kernels of this source lie compiled in the cache, so that the first case need not wait for the compiler."""
    return _FOLDER is not None and any(_FOLDER.rglob("*.nbi"))


# Nobody calls a kernel from C, and that wrapper was a tenth of all compilation.
_OPTIONS: Any = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


def kernel(function: Function) -> Function:
    """Compile on first call, without the GIL, with numpy's rules for division by zero; cached in our own folder.

    numba picks the folder while it decorates, so its setting is changed only for that moment and other users of numba
    in the process keep theirs.
    """
    before = config.CACHE_DIR  # type: ignore[attr-defined]
    config.CACHE_DIR = str(_FOLDER or "")  # type: ignore[attr-defined]
    try:
        compiled: Any = numba.njit(**_OPTIONS)(function)
        if _FOLDER is not None and not config.DISABLE_JIT:  # type: ignore[attr-defined]
            compiled._cache = _CACHE(function)  # type: ignore[no-untyped-call]
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]
    return cast(Function, compiled)
