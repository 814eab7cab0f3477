"""The write path: commands, group commit, replies. Also dispatch, timers, sessions, cleanup and the job
cache."""
