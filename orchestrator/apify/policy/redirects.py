"""Which redirects are followed: those of reads, and the token never goes to another address."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote, urljoin, urlsplit

from orchestrator.apify.http.transport import Headers, Request, Response

MAX_REDIRECTS = 5
URL_CHARACTERS = "%:/?#[]@!$&'()*+,;=~"
"""What an address may hold as it is; the rest of a redirect's is encoded (RFC 3986, section 2)."""


def redirected(request: Request, response: Response) -> Request | None:
    """The request that an answer redirects to; None when it does not, or must not be followed."""
    location = response.headers.get("Location")
    if (
        request.method not in {"GET", "HEAD"}
        or response.status >= HTTPStatus.BAD_REQUEST
        or response.status == HTTPStatus.NOT_MODIFIED
        or not location
    ):
        return None
    try:
        url = quote(urljoin(request.url, location), safe=URL_CHARACTERS)
        here, there = urlsplit(request.url), urlsplit(url)
        is_address = bool(there.hostname) and there.port != 0
    except ValueError:
        # The host or the port is not valid.
        return None
    if not is_address or there.scheme not in {"http", "https"}:
        return None
    # What was asked for over TLS must not be read or altered on the way.
    if (here.scheme, there.scheme) == ("https", "http"):
        return None
    headers = request.headers
    # The token belongs to the platform: a storage that it redirects to must not see it.
    if (here.scheme, here.netloc) != (there.scheme, there.netloc):
        headers = Headers(
            {name: value for name, value in headers.items() if name.lower() != "authorization"}
        )
    return request._replace(url=url, headers=headers)
