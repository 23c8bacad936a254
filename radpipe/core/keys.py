"""Content keys: a result is found by what went into it, never by its row, its path or its date."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def content_key(**parts: Any) -> str:
    """SHA-256 (hex) of the parts as canonical JSON. Parts are JSON values; pydantic settings are given as ``model_dump(mode="json")``."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
