"""The conformance vectors, run against this implementation's session cores."""

from pathlib import Path

import pytest

from tests.vectors.runner import read, run, vectors


@pytest.mark.parametrize("path", [*vectors("converse"), *vectors("work")], ids=lambda p: p.stem)
def test_the_core_sends_what_the_vector_expects(path: Path) -> None:
    run(path)


def test_every_vector_has_a_description() -> None:
    paths = [*vectors("converse"), *vectors("work")]
    assert len(paths) >= 12
    for path in paths:
        vector = read(path)
        assert path.stem.startswith(vector["service"])
        assert vector["description"].endswith(".")
        assert any("server" in step or "ends" in step for step in vector["steps"])
