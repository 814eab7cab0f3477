"""Each module by itself: no database, no process, no network but loopback."""
