"""The web gateway: the page for people who answer, and the channel over a WebSocket and plain HTTP.

Sign-in and protection of the page:

    callers           the metadata that a request's calls carry; refuses requests without a right to be made
"""
