"""The container image, built from the Dockerfile and run without a container engine."""
