"""The contract of storage, engine and feed, tested on both databases."""
