"""Settings of an executor, as the command line or its file gives them, checked."""

from collections.abc import Mapping
from typing import Any

from repro.schema.errors import ConfigError


def whole_number(settings: Mapping[str, Any], name: str, default: int, least: int = 1) -> int:
    """Return a whole number of the settings.

    Raises:
        ConfigError: if it is none, or too small.
    """
    value = settings.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"executor.{name} must be a whole number, at least {least}, not {value!r}.")
    return value


def seconds(settings: Mapping[str, Any], name: str, default: float) -> float:
    """Return a time of the settings.

    Raises:
        ConfigError: if it is no number above 0.
    """
    value = settings.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ConfigError(f"executor.{name} must be a number of seconds above 0, not {value!r}.")
    return float(value)


def mapping(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a mapping of the settings; an empty one where nothing is given.

    Raises:
        ConfigError: if it is none.
    """
    value = settings.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"executor.{name} must be a mapping, as executor.{name}='{{key: value}}', not {value!r}.")
    return {str(key): item for key, item in value.items()}
