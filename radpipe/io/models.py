"""A fitted model <-> a folder: numbers as safetensors, everything else as JSON. Never pickle: a model file runs no code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from radpipe.errors import FileProblem

MODEL_VERSION = 1


def save_model(folder: Path, arrays: dict[str, np.ndarray], info: dict[str, Any]) -> None:
    """Write ``weights.safetensors`` and ``model.json``. arrays : name -> array of any shape; info : JSON values."""
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, str(folder / "weights.safetensors"))
    (folder / "model.json").write_text(json.dumps({"radpipe_model": MODEL_VERSION, **info}, indent=1, sort_keys=True))


def load_model(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what :func:`save_model` wrote; FileProblem for anything else."""
    try:
        info: dict[str, Any] = json.loads((folder / "model.json").read_text())
        arrays: dict[str, np.ndarray] = load_file(str(folder / "weights.safetensors"))
    except (OSError, ValueError, SafetensorError) as error:
        raise FileProblem(
            f"is not a model that radpipe wrote ({error}).", hint="Delete the folder and run again.", path=folder
        ) from error
    if info.get("radpipe_model", 0) > MODEL_VERSION:
        raise FileProblem("the model was written by a newer radpipe.", hint="Install a newer radpipe.", path=folder)
    return arrays, info
