"""The public names of the SDK with their parameters and bases, and what breaks programs that use them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from enum import Enum
from importlib import import_module
from typing import Any, get_args, get_type_hints

MODULES = ("askback", "askback.errors", "askback.sync", "askback.testing")

Surface = dict[str, dict[str, Any]]
"""The public names: for each its `kind` and, depending on that, `parameters`, `bases` or `value`."""


def describe() -> Surface:
    """The public surface of the installed SDK."""
    surface: Surface = {}
    for module_name in MODULES:
        module = import_module(module_name)
        for name in sorted(getattr(module, "__all__", None) or _names_of(module)):
            surface.update(_describe(f"{module_name}.{name}", getattr(module, name)))
    return surface


def _names_of(module: Any) -> Iterator[str]:
    return (
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (getattr(value, "__module__", None) or "").startswith("askback")
    )


def _describe(path: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if inspect.isclass(value):
        parameters = [] if issubclass(value, Enum) else _parameters(value)
        yield path, {"kind": "class", "bases": _bases(value), "parameters": parameters}
        for name in dir(value):
            if not name.startswith("_") and name in _members(value):
                yield from _describe(f"{path}.{name}", inspect.getattr_static(value, name))
    elif isinstance(value, staticmethod | classmethod):
        yield from _describe(path, value.__func__)
    elif inspect.isroutine(value):
        kind = "coroutine function" if inspect.iscoroutinefunction(value) else "function"
        yield path, {"kind": kind, "parameters": _parameters(value)}
    elif isinstance(value, Enum):
        yield path, {"kind": "enum member", "value": value.value}
    else:
        yield path, {"kind": "attribute"}


def _members(cls: type) -> set[str]:
    """The members of a class that our own classes define."""
    return {name for base in cls.__mro__ if base.__module__.startswith("askback") for name in vars(base)}


def _bases(cls: type) -> list[str]:
    return [base.__name__ for base in cls.__mro__[1:] if base is not object]


def _parameters(function: Any) -> list[dict[str, Any]]:
    """Each parameter: name, kind, whether it is required. Keys of `Unpack[…]` are keyword parameters."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a class without a signature, such as an exception
        return []
    found: list[dict[str, Any]] = []
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        keys = _keys(function, parameter) if parameter.kind is parameter.VAR_KEYWORD else {}
        if keys:
            found += [
                {"name": name, "kind": "KEYWORD_ONLY", "required": required}
                for name, required in sorted(keys.items())
            ]
        else:
            required = parameter.default is parameter.empty and not parameter.kind.name.startswith("VAR_")
            found.append({"name": parameter.name, "kind": parameter.kind.name, "required": required})
    return found


def _keys(function: Any, parameter: inspect.Parameter) -> Mapping[str, bool]:
    try:
        options = get_args(get_type_hints(function)[parameter.name])[0]
    except Exception:
        return {}
    names = getattr(options, "__required_keys__", frozenset())
    return {name: name in names for name in getattr(options, "__annotations__", {})}


def breaks(old: Surface, new: Surface) -> Iterator[str]:
    """What `new` no longer offers to programs written for `old`, one line each."""
    for path, before in old.items():
        now = new.get(path)
        if now is None:
            yield f"{path} is missing"
        elif now["kind"] != before["kind"]:
            yield f"{path} was a {before['kind']} and is a {now['kind']}"
        elif now.get("value") != before.get("value"):
            yield f"{path} was {before['value']!r} and is {now['value']!r}"
        else:
            lost = [base for base in before.get("bases", ()) if base not in now["bases"]]
            yield from (f"{path} is no {base} any more" for base in lost)
            yield from (f"{path}: {what}" for what in _broken_call(before, now))


def _broken_call(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    old, new = ({p["name"]: p for p in entry.get("parameters", ())} for entry in (before, now))
    takes_any = any(p["kind"] == "VAR_KEYWORD" for p in new.values())
    for name, parameter in old.items():
        if name not in new:
            if not takes_any:
                yield f"the parameter {name} is missing"
        elif new[name]["required"] and not parameter["required"]:
            yield f"the parameter {name} must be given now"
        elif new[name]["kind"] == "KEYWORD_ONLY" != parameter["kind"] and not parameter["kind"].startswith(
            "VAR_"
        ):
            yield f"the parameter {name} can no longer be given by position"
    for name, parameter in new.items():
        if name not in old and parameter["required"]:
            yield f"the new parameter {name} must be given"
    positions = [n for n, p in old.items() if p["kind"].startswith("POSITIONAL")]
    now_positions = [n for n, p in new.items() if p["kind"].startswith("POSITIONAL")]
    if all(n in now_positions for n in positions) and now_positions[: len(positions)] != positions:
        yield f"the positional parameters were {positions} and are {now_positions}"
