"""Files of `askback people import`: every mistake is named with its line."""

from __future__ import annotations

import pytest

from askback.cli.people.import_file import BadRows, read_people


@pytest.mark.parametrize(
    ("text", "is_csv", "problem"),
    [
        ("", True, "it has no people"),
        ("subject\n", True, "it has no people"),
        ("subject,name\nana\n", True, "line 2: must have as many cells as the header"),
        ("subject\nana,x\n", True, "line 2: must have as many cells as the header"),
        ('subject,name\nana,"x', True, "line 2: unexpected end of data"),
        ("subject\nana\nana\n", True, "line 3: subject 'ana' is in line 2 too"),
        ("subject,active\nana,maybe\n", True, "line 2: active must be yes or no"),
        ("[1]", False, "line 1: is not a JSON object"),
        ('{"subject": "ana"', False, "line 1: is not JSON"),
        ('{"subject": 7}', False, "line 1: subject must be a text"),
        ('{"subject": "ana", "groups": "ops"}', False, "line 1: groups must be a list of names"),
        ('{"subject": "ana", "groups": [""]}', False, "line 1: groups must be a list of names"),
        ('{"name": "ana"}', False, "line 1: subject is missing"),
        ("\n" + "{}\n" * 30, False, "and 10 more"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, is_csv: bool, problem: str) -> None:
    with pytest.raises(BadRows) as found:
        read_people(text, is_csv=is_csv)
    assert any(each.startswith(problem) for each in found.value.problems), found.value.problems


def test_what_a_cell_leaves_open_is_not_set() -> None:
    [ana, bob] = read_people(
        "subject,name,groups,active,time_zone\nana, Ana ,ops; law,YES,\nbob,,,,UTC\n", is_csv=True
    )
    assert ana.fields == {"display_name": "Ana", "groups": ["ops", "law"], "active": True}
    assert bob.fields == {"time_zone": "UTC"}


def test_json_can_say_none() -> None:
    [ana] = read_people('{"subject": "ana", "groups": [], "email": ""}', is_csv=False)
    assert ana.fields == {"groups": [], "email": ""}
