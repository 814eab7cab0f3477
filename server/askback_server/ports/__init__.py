"""What the engine, feed and sessions need of the world outside, as Protocols."""
