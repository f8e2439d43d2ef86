"""A remote as a key, and as a person reads it. Only who asks for that loads this."""


def host_of(remote):
    """The host of a remote, as a key: for `peer_key` when ports are not checked."""
    return remote[0] if isinstance(remote, tuple) else bytes(remote[4:8])


def text_of(remote):
    """`192.168.4.1:65401`, for a person."""
    if isinstance(remote, tuple):
        return remote[0] + ":" + str(remote[1])
    if len(remote) == 6:  # a MAC address, see espnow
        return ":".join(["%02x" % byte for byte in remote])
    # struct sockaddr_in: family, port and address in network order
    host = ".".join([str(byte) for byte in remote[4:8]])
    return host + ":" + str(remote[2] << 8 | remote[3])
