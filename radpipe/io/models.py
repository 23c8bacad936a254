"""A fitted model <-> a folder: numbers as safetensors, everything else as JSON. Never pickle: a model file runs no code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from radpipe.errors import FileProblem
from radpipe.io.files import cannot_read

MODEL_VERSION = 1
# One entry of the file's metadata, a JSON text: several would be written in an order that changes from run to run.
METADATA = "radpipe"
_NOT_READ = {b"PK": "a PyTorch file (.pt, .pth)", b"\x80": "a pickle"}


def save_model(folder: Path, arrays: dict[str, np.ndarray], info: dict[str, Any]) -> None:
    """Write ``weights.safetensors`` and ``model.json``. arrays : name -> array of any shape; info : JSON values."""
    about = {"radpipe_model": MODEL_VERSION, "kind": info.get("kind"), "network": (info.get("params") or {}).get("network")}
    save_file(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()}, str(folder / "weights.safetensors"),
        metadata={METADATA: json.dumps({key: value for key, value in about.items() if value is not None}, sort_keys=True)},
    )  # fmt: skip
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


def read_weights(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a safetensors file, and what radpipe wrote into its metadata ({} in a file of somebody else).

    FileProblem where the file cannot be read, is something else, or was written by a newer radpipe. Pickles are never opened: they
    can run code.
    """
    about = weights_about(path)
    arrays = {}
    with safe_open(str(path), "numpy") as file:
        for name in file.keys():  # noqa: SIM118 (no mapping)
            try:
                arrays[name] = file.get_tensor(name)
            except (SafetensorError, TypeError, KeyError, AttributeError, ValueError) as error:
                raise FileProblem(
                    f"numpy has no numbers of the type of the array {name!r} ({file.get_slice(name).get_dtype()}).",
                    hint="Save the weights again, as float32.", path=path,
                ) from error  # fmt: skip
    return arrays, about


def weights_about(path: Path) -> dict[str, Any]:
    """The metadata alone, with the checks of :func:`read_weights`; reads the head of the file."""
    if not path.exists():
        raise FileProblem(
            "the weights file does not exist.", hint="Check the path; a relative path starts at the workflow's folder.", path=path
        )
    try:
        with open(path, "rb") as file:
            start = file.read(2)
    except OSError as error:
        raise cannot_read(path, error) from error
    for magic, what in _NOT_READ.items():
        if start.startswith(magic):
            raise FileProblem(
                f"is {what}, not safetensors; it is not opened, because it could run code.",
                hint="Load it in Python where you trust it, and save its state_dict with safetensors.torch.save_file.",
                path=path,
            )
    try:
        with safe_open(str(path), "numpy") as file:
            metadata = file.metadata() or {}
        about: Any = json.loads(metadata.get(METADATA, "{}"))
    except (SafetensorError, ValueError) as error:
        raise FileProblem(
            f"is not a whole safetensors file ({error}).", hint="Copy it again, or save the weights with safetensors.", path=path
        ) from error
    if not isinstance(about, dict) or not isinstance(about.get("radpipe_model", 0), int):
        raise FileProblem("its metadata are not radpipe's.", hint="Save the weights again.", path=path)
    if about.get("radpipe_model", 0) > MODEL_VERSION:
        raise FileProblem(
            f"the weights were written by a newer radpipe (model version {about['radpipe_model']}; this one reads up to {MODEL_VERSION}).",
            hint="Install a newer radpipe.",
            path=path,
        )
    return about
