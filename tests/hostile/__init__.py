"""Hostile callers: unauthorised requests, malformed input and floods, while another tenant works."""
