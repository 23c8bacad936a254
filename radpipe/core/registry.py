"""Look-up by name in a plain dict, with an error that helps.

A registry maps a name to a dotted path ``package.module:attribute`` that is imported on look-up, so that reading a
workflow never imports torch or scikit-learn.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from radpipe.errors import ConfigError


def nearest(name: str, choices: Iterable[str]) -> str:
    """' Did you mean ...?' or ''."""
    close = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def lookup(registry: Mapping[str, str], name: str, kind: str) -> Any:
    """The registered object; ConfigError with the choices and the nearest one where there is none of that name."""
    if name not in registry:
        raise ConfigError(
            f"there is no {kind} named {name!r}.{nearest(name, registry)}",
            hint=f"Choose one of: {', '.join(registry)}.",
        )
    module, _, attribute = registry[name].partition(":")
    return getattr(import_module(module), attribute)
