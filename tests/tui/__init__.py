"""The full-screen console on a fake server, with a fixed clock, driven by Textual's Pilot.

`ASKBACK_REWRITE_SCREENS=1 pytest tests/tui` writes the golden screens again after an intended change.
"""
