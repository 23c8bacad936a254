"""Which of IBSI 2's filters the parameters ask for."""

from __future__ import annotations

from typing import Any

from radpipe.errors import ConfigError
from radpipe.filters.ibsi_common import FilterSettings
from radpipe.filters.ibsi_registry import module_of, settings_of

Chosen = tuple[str, FilterSettings]


def chosen_filters(wanted: Any) -> list[Chosen]:
    """``filter`` of the IBSI parameters -> (name, settings) of each filter, in order.

    wanted : None, ``{<name>: {...}}``, or a list of such. ConfigError: a name or key that is unknown, or two filters whose
    columns would have the same names.
    """
    entries = [] if wanted is None else list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    found: list[Chosen] = []
    prefixes: set[str] = set()
    for entry in entries:
        if not isinstance(entry, dict) or len(entry) != 1:
            raise ConfigError(
                f"filter: {entry!r} must be one filter's name with its settings.",
                hint="Write filter: {mean: {support: 5}}, or a list of such.",
            )
        ((name, values),) = entry.items()
        settings = settings_of(str(name), values)
        prefix = module_of(str(name)).prefix(settings)
        if prefix in prefixes:
            raise ConfigError(f"filter: {prefix} is asked for twice.", hint="Leave one out.")
        prefixes.add(prefix)
        found.append((str(name), settings))
    return found
