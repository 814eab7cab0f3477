"""Small programs that tests run as processes. Each says what it did in JSON lines on stdout."""
