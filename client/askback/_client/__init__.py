"""The client: starts, follows and changes jobs, asks people, and answers prompts."""
