"""Small programs that tests run as processes. They report their actions as JSON lines on stdout."""
