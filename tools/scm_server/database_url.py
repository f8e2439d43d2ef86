"""The URL of a database of PostgreSQL, for people: its password is in no line that is printed."""

from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from msgin5g_tools.scm_server.problem import ScmError

NAME = "the URL of the database"  # of one that is none


def redacted(url):
    """(the URL without its password, the password or None)."""
    try:
        parts = urlsplit(url)
        user, _, place = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError as error:
        raise ScmError(f"{NAME}: {error}") from None
    for key, value in pairs:
        if key == "password":
            password = value
    query = urlencode([pair for pair in pairs if pair[0] != "password"], safe="/")
    shown = parts._replace(netloc=f"{name}@{place}" if user else parts.netloc, query=query)
    text = shown.geturl()
    start = f"{shown.scheme}:"
    if not text.startswith(start + "//"):  # some urllib drops the slashes before an empty host
        text = text.replace(start, start + "//", 1)
    return text, unquote(password) or None
