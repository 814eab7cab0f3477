"""The documentation runs: every code block, every link, every fact that the program also knows."""
