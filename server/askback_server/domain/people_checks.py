"""Checks what admins say of people and groups, and what credentials name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from askback_server.domain.checks import Checker
from askback_server.domain.limits import Limits
from askback_server.domain.people import ANONYMOUS, PersonSetting

_EMAIL = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+\Z")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z")
_BREAKS = frozenset({"Cc", "Zl", "Zp"})
"""Categories of characters that a name must not have. Invisible ones are legitimate in some scripts."""
MAX_LANGUAGE_CHARS = 35
"""Maximum length of a language tag: RFC 5646 asks for at least that."""


def check_setting(setting: PersonSetting, limits: Limits, is_time_zone: Callable[[str], bool]) -> None:
    """Raise InvalidField unless every value can be stored and means something."""
    check = Checker(limits)
    check.subject("subject", setting.subject, required=True)
    if setting.subject == ANONYMOUS:
        check.bad("subject", "is the name of callers without a name, not of a person")
    for name, value, limit in (
        ("subject", setting.subject, limits.subject_bytes),
        ("display_name", setting.display_name or "", limits.display_name_bytes),
    ):
        check.text(name, value, limit)
        if any(unicodedata.category(character) in _BREAKS for character in value):
            check.bad(name, "must be one line without control characters")
    if setting.email and (len(setting.email) > limits.email_bytes or not _EMAIL.match(setting.email)):
        check.bad("email", "must be one e-mail address, such as ana@example.com")
    if setting.time_zone and not is_time_zone(setting.time_zone):
        check.bad("time_zone", "must be a name of the IANA database, such as Europe/Berlin")
    if setting.language and (
        len(setting.language) > MAX_LANGUAGE_CHARS or not _LANGUAGE.match(setting.language)
    ):
        check.bad("language", "must be a BCP 47 tag, such as de or pt-BR")
    groups = setting.groups or frozenset()
    if len(groups) > limits.groups_per_person:
        check.bad("groups.names", f"names {len(groups)}; at most {limits.groups_per_person} are allowed")
    for group in sorted(groups)[: limits.groups_per_person]:
        check_group_name(check, "groups.names", group)
    check.done()


def check_group_name(check: Checker, field_name: str, name: str) -> None:
    """Note in `check` what is wrong with a group's name. It is the rule of a prompt's audience."""
    check.key(field_name, name)


def storable_groups(groups: Iterable[str], limits: Limits) -> frozenset[str]:
    """The groups of credentials that the directory holds: those whose names are valid, the first ones in
    alphabetical order if they are too many."""

    def is_valid(name: str) -> bool:
        check = Checker(limits)
        check_group_name(check, "groups", name)
        return not check.found

    return frozenset([name for name in sorted(groups) if is_valid(name)][: limits.groups_per_person])
