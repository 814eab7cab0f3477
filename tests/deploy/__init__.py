"""What is deployed: manifests held against real schemas, and against the server they start."""
