"""A remote address as a key and as text.

A remote is what `recvfrom` gives: a tuple, or on the Unix port the bytes of a sockaddr, or for
ESP-NOW a MAC address of 6 bytes. Only this file reads its fields; resolver.py makes one of a name.
"""


def host_of(remote):
    """The host of a remote, as a key: the `peer_key` of an Endpoint that ignores ports."""
    return remote[0] if isinstance(remote, tuple) else bytes(remote[4:8])


def text_of(remote):
    """`192.168.4.1:65401`, or a MAC address, for a person."""
    if isinstance(remote, tuple):
        return remote[0] + ":" + str(remote[1])
    if len(remote) == 6:  # a MAC address, see espnow.py
        return ":".join(["%02x" % byte for byte in remote])
    # struct sockaddr_in: family, port and address in network order
    host = ".".join([str(byte) for byte in remote[4:8]])
    return host + ":" + str(remote[2] << 8 | remote[3])
