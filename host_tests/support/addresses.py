"""Loopback addresses that belong to this pytest process alone.

Every role binds UDP port 65401 and every server 5683, so each needs an address of its own in
127.0.0.0/8. A process claims whole networks 127.x.y.0/24 of it, and keeps a socket bound in each
until it ends. Two runs on one machine never share a network, and no address is given out twice.
`msgin5g demo` uses 127.128.0.0 and above, the documents 127.0.0.0/24: neither is claimed here.
"""

import os
import socket

PORTS = (65401, 5683)
_CLAIM_PORT = 65400
_N_NETWORKS = 127 * 256 - 256  # 127.1.0.0 to 127.127.255.0
_PORTS = range(10000, 32000)  # below those that the kernel gives to who asks for any
_claims = []  # the sockets that keep others away
_free = []  # addresses of the last network that were not given out yet


def network():
    """Claim a network; its first three numbers with the dot: `127.3.44.`."""
    start = os.getpid() * 7
    for n in range(_N_NETWORKS):
        k = 256 + (start + len(_claims) + n) % _N_NETWORKS
        prefix = f"127.{k >> 8}.{k & 255}."
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((prefix + "254", _CLAIM_PORT))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return prefix
    raise OSError("no network of 127.0.0.0/8 is free")


def host():
    """An address that nobody uses."""
    while True:
        if not _free:
            prefix = network()
            _free.extend(prefix + str(n) for n in range(253, 0, -1))
        address = _free.pop()
        if all(_is_free(address, port) for port in PORTS):
            return address


def port():
    """A UDP port that nobody uses, for a program that binds it on every address."""
    start = os.getpid() * 7
    for n in range(len(_PORTS)):
        found = _PORTS[(start + len(_claims) + n) % len(_PORTS)]
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0msgin5g-port-{found}")
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        if _is_free("0.0.0.0", found):
            return found
    raise OSError("no UDP port is free")


def _is_free(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
