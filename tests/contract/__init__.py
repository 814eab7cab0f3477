"""What the storage, the engine and the feed promise, on both databases."""
