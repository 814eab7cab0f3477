"""The page of the settings: names, default and meaning of each, from the server's table."""

from __future__ import annotations

from collections.abc import Iterator

from askback_server.config.settings import SETTINGS, Setting
from askback_server.config.sources import FILE_VARIABLE
from scripts.reference.tables import table


def lines() -> Iterator[str]:
    """The lines of the page."""
    yield "# Settings of the server"
    yield ""
    yield (
        "`askback serve` reads each setting from its flag, else from the environment, else from a TOML file "
        f"(`--config` or `{FILE_VARIABLE}`), else it takes the default. A wrong setting ends the start with "
        "exit code 2 and a message that names it and says what would be right. "
        "`askback serve --print-config` prints what is in force and where it comes from. Times are seconds."
    )
    yield ""
    rows = []
    for name, setting in SETTINGS.items():
        default = _default(setting)
        bounds = f"From {setting.within[0]:,g} to {setting.within[1]:,g}." if setting.within else ""
        choices = f"One of {', '.join(f'`{c}`' for c in setting.choices)}." if setting.choices else ""
        meaning = f"{setting.help} {bounds}{choices}"
        rows.append((f"`{setting.flag}`", f"`{setting.variable}`", f"`{name}`", default, meaning))
    yield from table(["flag", "environment", "in the file", "default", "meaning"], rows)


def _default(setting: Setting) -> str:
    if setting.default == "":
        return ""
    if isinstance(setting.default, bool):
        return "on" if setting.default else "off"
    return f"`{setting.default:g}`" if isinstance(setting.default, float) else f"`{setting.default}`"
