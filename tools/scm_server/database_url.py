"""The URL of a database of PostgreSQL, for people: its password is in no line that is printed.

It is taken apart as libpq does, which allows `?` and `#` in a password, and not as other URLs.
"""

from urllib.parse import unquote

from msgin5g_tools.scm_server.problem import ScmError
from msgin5g_tools.text import printable

NAME = "the URL of the database"  # of one that is not shown


def redacted(url):
    """(the URL without its password, every spelling of the password that an error may repeat)."""
    scheme, _, rest = url.partition("://")
    head, slash, tail = rest.partition("/")
    path = tail.partition("?")[0]
    if head.count("@") > 1 or ("@" in path and "@" not in head and ":" in head):
        raise ScmError(f"{NAME}: write @ as %40 and / as %2F in its user, password and name")
    user, at, hosts = head.rpartition("@")
    name, _, password = user.partition(":")
    place, mark, query = f"{hosts}{slash}{tail}".partition("?")
    kept, passwords = [], [password]
    for parameter in query.split("&"):
        key, _, value = parameter.partition("=")
        if key == "password":
            passwords.append(value)
        else:
            kept.append(parameter)
    more = mark + "&".join(kept) if kept else ""
    spellings = {form for value in passwords for form in (value, unquote(value)) if value}
    return printable(f"{scheme}://{name}{at}{place}{more}"), spellings
