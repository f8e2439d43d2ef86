"""The settings of the page, checked."""

import hashlib
import hmac
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from msgin5g_tools.person_file import FileError, read_text
from msgin5g_tools.scm_server import identity
from msgin5g_tools.scm_server.problem import ScmError
from msgin5g_tools.scm_server.settings import address_text

_LEAST_TOKEN_SIZE = 20
_MAX_TOKENS = 1000
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.\-]{0,251}[A-Za-z0-9])?")


@dataclass
class WebSettings:
    """`bind` is (host, port). hosts: names that browsers may use for it, besides IP addresses."""

    bind: tuple
    token_file: str | None = None
    read_only: bool = False
    hosts: tuple = ()
    tokens: dict = field(default_factory=dict, repr=False)  # name -> SHA-256 of its token

    def __post_init__(self):
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise ScmError(f"web host: '{host}' is not the name of a host")
        self.hosts = tuple(host.lower() for host in self.hosts)
        if self.token_file is not None:
            self.tokens = read_tokens(self.token_file)
        elif not self.is_loopback:
            name = address_text(*self.bind) if not self.hosts else f"host {self.hosts[0]}"
            raise ScmError(
                f"web: {name} is reached from other machines: add --web-token-file FILE"
            )

    @property
    def is_loopback(self):
        return identity.is_loopback(self.bind[0]) and not self.hosts

    def name_of(self, token):
        """The name whose token this is, or None; it takes as long for each one."""
        digest, found = _digest(token), None
        for name, known in self.tokens.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found


def _digest(token):
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def read_tokens(path):
    """{name: digest} of a file with a line `NAME TOKEN` for each person; # begins a comment."""
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise ScmError(f"web token file: {path}: {error.strerror}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ScmError(f"web token file: {path}: others can read it: chmod 600 {path}")
    try:
        lines = read_text(path).splitlines()
    except FileError as error:
        raise ScmError(f"web token file: {error}") from None
    tokens = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        fault = _line_fault(words, tokens)
        if fault:
            raise ScmError(f"web token file: {path}: line {number}: {fault}")
        tokens[words[0]] = _digest(words[1])
    if not tokens:
        raise ScmError(f"web token file: {path}: has no line NAME TOKEN")
    return tokens


def _line_fault(words, tokens):
    if len(words) != 2:
        return "is not NAME TOKEN"
    if words[0] in tokens:
        return f"{words[0]} is there twice"
    if len(words[0]) > 100:
        return "the name is longer than 100 characters"
    if len(words[1]) < _LEAST_TOKEN_SIZE:
        return f"the token is shorter than {_LEAST_TOKEN_SIZE} characters: openssl rand -hex 24"
    return "there are more than 1,000 tokens" if len(tokens) == _MAX_TOKENS else None
