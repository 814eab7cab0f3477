"""The examples in Go and TypeScript, built and run against a real server."""
