"""The options of `askback serve`, derived from the table of settings."""

from __future__ import annotations

import click

from askback_server.config.settings import SETTINGS, Setting
from askback_server.config.sources import FILE_VARIABLE


def serve_options() -> list[click.Parameter]:
    """One option per setting, `--config` and `--print-config`.

    An option that is not given is None. `sources.py`, not click, reads the environment and the file, so that
    `python -m askback_server` reads the same settings.
    """
    config = click.Option(
        ["--config"], metavar="FILE", help=f"TOML file of settings, named as here. [env: {FILE_VARIABLE}]"
    )
    show = click.Option(
        ["--print-config"], is_flag=True, help="Print every setting and where it comes from, and exit."
    )
    return [config, *map(_option, SETTINGS.values()), show]


def _option(setting: Setting) -> click.Option:
    text = f"{setting.default:.10g}" if setting.kind is float else str(setting.default)
    default = f" [default: {text}]" if text else ""
    if setting.kind is bool:
        names = [f"{setting.flag}/--no-{setting.flag[2:]}", setting.name]
        return click.Option(names, default=None, help=setting.help)
    kind = click.Choice(setting.choices) if setting.choices else setting.kind
    return click.Option(
        [setting.flag, setting.name], type=kind, metavar=setting.metavar or None, help=setting.help + default
    )
