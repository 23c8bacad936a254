"""The base of every settings class: frozen, typed, unknown keys refused with the nearest valid one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A room's settings. Each field has a default where one is safe, and a description with its unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
