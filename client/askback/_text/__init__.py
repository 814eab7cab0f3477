"""Text for people: spans of time, handles, tables, problems with files.

Standard library only: the server imports `files` and `spans` too.
"""
