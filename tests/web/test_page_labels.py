"""The page says the labels that the service fills in, in the reader's language."""

import re
from pathlib import Path

from askback_server.domain import decisions

GERMAN = Path(__file__).resolve().parents[2] / "client" / "web" / "src" / "words" / "de.ts"
_LABELS = re.compile(r"export const labels[^{]*\{(.*?)\n\};", re.DOTALL)
_NAME = re.compile(r'^  "?([^":]+)"?: "[^"]+",$', re.MULTILINE)


def test_each_label_of_the_service_has_german_words() -> None:
    found = _LABELS.search(GERMAN.read_text(encoding="utf-8"))
    assert found is not None
    wanted = {*decisions.DEFAULT_LABELS.values()}
    for labels in decisions._KINDS.values():
        wanted |= {label for label in labels.values() if label}
    assert set(_NAME.findall(found[1])) == wanted
