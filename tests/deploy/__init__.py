"""The Kubernetes manifests, checked against real schemas and against the server that they start."""
