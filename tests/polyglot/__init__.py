"""The examples in Go and TypeScript, built and run as processes against a real server."""
