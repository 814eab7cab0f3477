"""The client: starts jobs, asks people, follows, steers and answers."""
