"""Askback's service: jobs that may stop and ask people."""
