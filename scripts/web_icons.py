"""Draw client/web/public/icon-*.png from icon.svg. Needs Chromium.

`make icons` writes them. The maskable icon has the drawing on a full square: systems cut their own shape out
of it, and everything within 40 % of its width from the centre stays.
"""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, async_playwright

from scripts.chromium import find_chromium

PUBLIC = Path(__file__).resolve().parents[1] / "client" / "web" / "public"
ICONS = {"icon-192.png": (192, False), "icon-512.png": (512, False), "icon-maskable-512.png": (512, True)}
"""For each file its width in pixels, and whether it is maskable."""
_ROUND = 'rx="7"'
_COLOURS = 64


async def draw(browser: Browser, width: int, *, maskable: bool) -> bytes:
    """The PNG of the icon. Raises ValueError if the drawing has no round corners to fill."""
    drawing = (PUBLIC / "icon.svg").read_text(encoding="utf-8")
    if _ROUND not in drawing:
        raise ValueError(f"icon.svg has no {_ROUND}")
    if maskable:
        drawing = drawing.replace(_ROUND, "")
    drawing = drawing.replace("<svg ", f'<svg width="{width}" height="{width}" style="display: block" ', 1)
    page = await browser.new_page(viewport={"width": width, "height": width})
    await page.set_content(f'<body style="margin: 0">{drawing}')
    picture = await page.screenshot(omit_background=True)
    await page.close()
    small = io.BytesIO()
    image = Image.open(io.BytesIO(picture)).convert("RGBA")
    image.quantize(_COLOURS, Image.Quantize.FASTOCTREE).save(small, "png", optimize=True)
    return small.getvalue()


async def main() -> None:
    """Write the icons."""
    chromium = find_chromium()
    if chromium is None:
        sys.exit("make icons needs Chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium)
        for name, (width, maskable) in ICONS.items():
            (PUBLIC / name).write_bytes(await draw(browser, width, maskable=maskable))
            print(f"{name}: {(PUBLIC / name).stat().st_size} bytes")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
