"""The web gateway: the page for people who answer, and the channel over a WebSocket and plain HTTP.

Sign-in and protection of the page:

    callers           the metadata that a request's calls carry; refuses requests without a right to be made
    session_cookie    seals a person's credential into a cookie, and opens it; `session_keys` has the keys
    origins           where browsers see the page; `forgery` has the locks against other pages' requests
    security_headers  the headers of every response, with the Content-Security-Policy
    rate_limits       limits on how often a client may ask, and on its open pages
    refused           the error of a request that is not forwarded
"""
