"""Path and query of a request as one text, for people."""

import re
from urllib.parse import quote

# Nothing in them is quoted; a `/` in a segment, and a `&` in a query, would be.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_.~:@,;/-]*")
_PLAIN_QUERY = re.compile(r"[A-Za-z0-9_.~:@,;/?=&-]*")


def text(path, query):
    """Of the values of Uri-Path and Uri-Query."""
    made = "/".join(path)
    if not _PLAIN_PATH.fullmatch(made) or made.count("/") != len(path) - 1:
        made = "/".join(quote(segment, safe=":@,;") for segment in path)
    if not query:
        return f"/{made}"
    asked = "&".join(query)
    if not _PLAIN_QUERY.fullmatch(asked) or asked.count("&") != len(query) - 1:
        asked = "&".join(quote(item, safe=":@,;/?=") for item in query)
    return f"/{made}?{asked}"
