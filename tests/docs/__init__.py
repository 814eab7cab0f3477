"""The documentation runs: every code block, every link, every fact that can be read from the program."""
