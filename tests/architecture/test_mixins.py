"""Classes composed of several bases: each method comes from one of them."""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import askback
import askback_server


def modules() -> Iterator[ModuleType]:
    """All modules of both packages, except generated and started ones."""
    for package in (askback, askback_server):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not re.search(r"^askback\.v1\.|\.__main__$|\.migrations\.", found.name):
                yield importlib.import_module(found.name)


def composed() -> dict[type[Any], tuple[type[Any], ...]]:
    """The classes of the packages with more than one base of the packages."""
    found = {}
    for module in modules():
        for cls in vars(module).values():
            if inspect.isclass(cls) and cls.__module__.startswith("askback"):
                ours = [base for base in cls.__mro__[1:] if base.__module__.startswith("askback")]
                if len(ours) > 1:
                    found[cls] = tuple(ours)
    return found


def shadowed(cls: type[Any], bases: tuple[type[Any], ...]) -> set[str]:
    """Methods with a body that two bases define, neither of which is a base of the other."""
    return {
        f"{cls.__name__}.{name} in {one.__name__} and {other.__name__}"
        for one, other in itertools.combinations(bases, 2)
        if other not in one.__mro__ and one not in other.__mro__
        for name, value in vars(one).items()
        if inspect.isfunction(value)
        and not name.startswith("__")
        and inspect.isfunction(vars(other).get(name))
        if not getattr(value, "__isabstractmethod__", False)
        if not getattr(vars(other)[name], "__isabstractmethod__", False)
        if not getattr(other, "_is_protocol", False) and not getattr(one, "_is_protocol", False)
    }


def test_no_base_hides_a_method_of_another() -> None:
    """Two branches once gave the repository the same read twice, and the slower one was in use."""
    classes = composed()
    assert len(classes) > 20
    assert not {name for cls, bases in classes.items() for name in shadowed(cls, bases)}
