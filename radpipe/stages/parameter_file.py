"""What the user asked of an extraction: a parameter file and KEY:VALUE overrides -> FeatureSettings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from radpipe.errors import ConfigError
from radpipe.features.config import FeatureSettings
from radpipe.features.parameters import VoxelSettings
from radpipe.io.mapping import parse_mapping, read_mapping

_OURS = ("engine", "feature_set", "params")  # keys of the workflow's features; any other top-level key is PyRadiomics' or IBSI's
_LISTS = ("resampledPixelSpacing", "resegmentRange", "distances", "sigma")
_SWITCHES = (
    "normalize", "preCrop", "resegmentShape", "force2D", "symmetricalGLCM", "additionalInfo", "correctMask", "gradientUseSpacing",
    "maskedKernel",
)  # fmt: skip


def load_settings(
    path: Path | None = None, *, overrides: Sequence[str] = (), feature_set: str | None = None, engine: str | None = None
) -> FeatureSettings:
    """ConfigError names every problem at once, with the file.

    path : a PyRadiomics parameter file or the IBSI set's (YAML or JSON), or the ``features`` of a workflow. overrides :
    ``KEY:VALUE``, over ``setting`` or ``voxelSetting`` (IBSI: over the top level; dots lead deeper). feature_set, engine : over the file's.
    """
    content = read_mapping(path) if path is not None else {}
    chosen: dict[str, Any] = {"params": content}
    if any(key in content for key in _OURS):
        chosen = content
        if isinstance(content.get("params"), str) and path is not None:
            chosen = {**content, "params": read_mapping(path.parent / content["params"])}
    if feature_set is not None:
        chosen = {**chosen, "feature_set": feature_set}
    if engine is not None:
        chosen = {**chosen, "engine": engine}
    params = chosen.get("params", {})
    if overrides and isinstance(params, Mapping):
        chosen = {**chosen, "params": _overridden(params, overrides, ibsi=chosen.get("feature_set") == "ibsi")}
    return checked_settings(chosen, path)


def checked_settings(chosen: Mapping[str, Any], path: object = "") -> FeatureSettings:
    """The settings; ConfigError in place of pydantic's."""
    try:
        return FeatureSettings.model_validate(chosen)
    except ValidationError as error:
        problems = []
        for item in error.errors():
            where = ".".join(str(step) for step in item["loc"])
            message = item["msg"].removeprefix("Value error, ").removeprefix("params: ")
            problems.append(f"{where}: {message}" if where else message)
        raise ConfigError(" ".join(problems), path=path) from error


def _overridden(params: Mapping[str, Any], overrides: Sequence[str], *, ibsi: bool) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(json.dumps(params, default=str))
    for text in overrides:
        key, colon, written = text.partition(":")
        key = key.strip()
        if not colon or not key:
            raise ConfigError(f"-s {text!r} is not KEY:VALUE.", hint="For example: -s binWidth:10")
        value = typed(key, written.strip())
        section = "voxelSetting" if key in VoxelSettings.model_fields else "setting"
        place = result if ibsi else result.setdefault(section, {})
        if place is None:  # `setting:` with nothing under it
            place = result[section] = {}
        *above, last = key.split(".") if ibsi else [key]
        for step in above:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise ConfigError(f"-s {text!r}: {step!r} holds no further keys.", hint="See the IBSI set's parameters.")
        place[last] = value
    return result


def typed(key: str, written: str) -> Any:
    """A value as written on a command line: numbers, true and false as such, ``1,2,3`` and PyRadiomics' list keys as lists."""
    if key in _SWITCHES and written in ("0", "1"):
        return written == "1"
    if written in ("", "None"):
        return None
    if written.startswith("["):
        value = parse_mapping(f"value: {written}")["value"]
    elif "," in written or key in _LISTS:
        value = [_scalar(part.strip()) for part in written.split(",")]
    else:
        value = _scalar(written)
    return value


def _scalar(written: str) -> Any:
    for kind in (int, float):
        try:
            return kind(written)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(written.lower(), written)
