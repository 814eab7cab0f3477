"""The rules of the directory of people, as pure functions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from askback_server.domain.errors import InvalidField
from askback_server.domain.limits import Limits
from askback_server.domain.people import (
    SEEN_INTERVAL,
    Person,
    PersonSetting,
    Roster,
    Sighting,
    Source,
    delete_person,
    follow_roster,
    is_member,
    is_person,
    note_sighting,
    search_text,
    set_person,
)
from askback_server.domain.people_checks import check_setting, storable_groups
from askback_server.domain.principals import Principal, Role
from askback_server.engine.time_zones import is_time_zone

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
KEY = ("default", "ana")
OPS, LAW, NONE = frozenset({"ops"}), frozenset({"law"}), frozenset[str]()


def setting(**fields: object) -> PersonSetting:
    return PersonSetting("default", "ana", **fields)  # type: ignore[arg-type]


def groups(person: Person | None) -> set[tuple[str, Source]]:
    assert person is not None
    return {(each.group, each.source) for each in person.memberships}


def by_credentials(names: frozenset[str] = OPS) -> Person:
    person = follow_roster(KEY, names)(None, NOW)
    assert person is not None
    return person


def seen(person: Person | None, at: datetime, names: frozenset[str] = OPS) -> Person:
    found = note_sighting(Sighting(*KEY, names, at), names)(person, at)
    assert found is not None
    return found


def test_unset_fields_stay_and_empty_ones_are_forgotten() -> None:
    person = set_person(setting(display_name="Ana", email="a@b", groups=OPS), "root")(None, NOW)
    assert person is not None
    changed = set_person(setting(email="", time_zone="Europe/Berlin"), "root")(person, LATER)
    assert changed is not None
    assert (changed.display_name, changed.email, changed.time_zone) == ("Ana", "", "Europe/Berlin")
    assert groups(changed) == {("ops", Source.ADMIN)}
    assert groups(set_person(setting(groups=NONE), "root")(changed, LATER)) == set()


def test_the_same_setting_again_changes_nothing() -> None:
    decide = set_person(setting(display_name="Ana", groups=OPS), "root")
    person = decide(None, NOW)
    assert decide(person, LATER) is person


def test_a_membership_that_stays_keeps_its_beginning() -> None:
    person = set_person(setting(groups=OPS), "root")(None, NOW)
    both = set_person(setting(groups=OPS | LAW), "eve")(person, LATER)
    assert both is not None
    assert [(m.group, m.from_at, m.set_by) for m in both.memberships] == [
        ("law", LATER, "eve"),
        ("ops", NOW, "root"),
    ]


def test_sources_do_not_end_each_others_memberships() -> None:
    person = set_person(setting(groups=OPS), "root")(by_credentials(), NOW)
    assert groups(person) == {("ops", Source.ADMIN), ("ops", Source.CREDENTIALS)}
    assert groups(follow_roster(KEY, LAW)(person, LATER)) == {
        ("ops", Source.ADMIN),
        ("law", Source.CREDENTIALS),
    }
    assert groups(set_person(setting(groups=NONE), "root")(person, LATER)) == {("ops", Source.CREDENTIALS)}


def test_a_person_that_vanishes_from_the_token_file_is_not_active() -> None:
    gone = follow_roster(KEY, None)(by_credentials(), LATER)
    assert gone is not None
    assert not gone.active
    assert not gone.memberships
    back = follow_roster(KEY, LAW)(gone, LATER)
    assert back is not None
    assert back.active
    assert groups(back) == {("law", Source.CREDENTIALS)}


def test_the_token_file_does_not_touch_a_person_of_admins() -> None:
    person = set_person(setting(groups=OPS), "root")(None, NOW)
    assert follow_roster(KEY, None)(person, LATER) is person
    assert follow_roster(KEY, None)(None, LATER) is None


def test_an_inactive_person_stays_so_while_its_entry_stays() -> None:
    off = set_person(setting(active=False), "root")(by_credentials(), NOW)
    assert follow_roster(KEY, OPS)(off, LATER) is off
    assert not seen(off, LATER).active


def test_a_deleted_person_keeps_its_subject_and_facts_of_credentials() -> None:
    person = set_person(
        setting(display_name="Ana", email="a@b", time_zone="UTC", language="de", groups=LAW), "root"
    )(seen(None, NOW), NOW)
    gone = delete_person(person, LATER)
    assert gone is not None
    assert (gone.display_name, gone.email, gone.time_zone, gone.language) == ("", "", "", "")
    assert gone.last_seen is None
    assert not gone.active
    assert gone.deleted_at == LATER
    assert groups(gone) == {("ops", Source.CREDENTIALS)}
    assert delete_person(gone, LATER + timedelta(1)) is gone
    assert delete_person(None, NOW) is None
    # The file alone does not list it again, a sighting or an admin does.
    assert follow_roster(KEY, OPS)(gone, LATER) is gone
    assert seen(gone, LATER) is gone  # noted before, written later
    after = LATER + timedelta(seconds=1)
    for back in (seen(gone, after), set_person(setting(), "root")(gone, LATER)):
        assert back is not None
        assert back.active
        assert back.deleted_at is None


def test_last_seen_changes_at_most_every_five_minutes() -> None:
    person = seen(None, NOW)
    assert person.last_seen == NOW
    soon = NOW + SEEN_INTERVAL - timedelta(seconds=1)
    assert seen(person, soon) is person
    assert seen(person, NOW + SEEN_INTERVAL).last_seen == NOW + SEEN_INTERVAL
    assert seen(seen(person, LATER), NOW).last_seen == LATER


def test_a_roster_joins_the_entries_of_a_subject() -> None:
    console = frozenset({Role.CONSOLE})
    roster = Roster.of(
        [
            Principal("ana", console, ("blue",), OPS),
            Principal("ana", frozenset({Role.ADMIN}), ("red", "*"), LAW),
            Principal("bot", frozenset({Role.WORKER}), ("blue",)),
            Principal("anonymous", console),
        ]
    )
    assert roster.keys() == {("blue", "ana"), ("red", "ana")}
    assert roster.groups_of(("blue", "ana")) == OPS | LAW
    assert roster.groups_of(("red", "ana")) == LAW
    assert roster.groups_of(("elsewhere", "ana")) == LAW  # by `*`
    assert roster.groups_of(("blue", "bot")) is None


def test_who_is_a_person() -> None:
    assert is_person(Principal("ana", frozenset({Role.ADMIN})))
    assert not is_person(Principal("anonymous", frozenset({Role.ADMIN})))
    assert not is_person(Principal("bot", frozenset({Role.CLIENT, Role.WORKER})))


def test_a_membership_holds_from_its_beginning_until_before_its_end() -> None:
    person = by_credentials()
    [fact] = person.memberships
    ended = [replace(fact, until_at=LATER)]
    moment = timedelta(microseconds=1)
    assert [is_member(ended, "ops", at) for at in (NOW - moment, NOW, LATER - moment, LATER)] == [
        False,
        True,
        True,
        False,
    ]
    assert is_member([fact], "ops", LATER)
    assert not is_member([fact], "law", NOW)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"email": "ana"}, "email"),
        ({"email": "ana@b, eve@c"}, "email"),
        ({"email": "a b@c"}, "email"),
        ({"email": "a@" + "b" * 253}, "email"),
        ({"time_zone": "Europe/Atlantis"}, "time_zone"),
        ({"time_zone": "Europe"}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
        ({"language": "deutsch, bitte"}, "language"),
        ({"language": "d"}, "language"),
        ({"display_name": "Ana\nRoot"}, "display_name"),
        ({"display_name": "x" * 401}, "display_name"),
        ({"groups": frozenset({"x" * 201})}, "groups.names"),
        ({"groups": frozenset({""})}, "groups.names"),
        ({"groups": frozenset(map(str, range(201)))}, "groups.names"),
    ],
)
def test_values_that_mean_nothing_are_refused(fields: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check_setting(setting(**fields), Limits(), is_time_zone)
    assert {v.field for v in refused.value.violations} == {field}


@pytest.mark.parametrize("subject", ["", "anonymous", "a\nb", "x" * 801])
def test_a_subject_that_no_caller_has_is_refused(subject: str) -> None:
    with pytest.raises(InvalidField, match="subject"):
        check_setting(PersonSetting("default", subject), Limits(), is_time_zone)


def test_usual_values_are_accepted() -> None:
    usual = setting(
        display_name="Ana María Peña \u0645\u06cc\u200c\u0631\u0627",
        email="ana.pena+ops@mail.example.com",
        time_zone="America/Argentina/Buenos_Aires",
        language="zh-Hant-TW",
        groups=frozenset({"ops", "Legal & Risk"}),
    )
    check_setting(usual, Limits(), is_time_zone)
    check_setting(setting(display_name="", email="", time_zone="", language=""), Limits(), is_time_zone)


def test_credentials_with_unusable_groups_lose_those_only() -> None:
    assert storable_groups(["ops", "x" * 201, "a\0b", ""], Limits()) == OPS
    assert len(storable_groups(map(str, range(500)), Limits())) == Limits().groups_per_person


def test_a_search_finds_beginnings_of_subject_and_words() -> None:
    text = search_text("ana.p", "Ana María PEÑA")
    assert all(f"\n{start}" in text for start in ("ana.p", "ana maría", "maría", "peña", "peñ"))
    assert "\neña" not in text
