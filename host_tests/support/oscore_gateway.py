"""A gateway that is an end of OSCORE on both sides: a key for the server, one for each UE."""

from msgin5g_testkit.checks import load
from gateway_builders import (
    GATEWAY_ID,
    ManualClient,
    address,
    name,
    new_bulk_server,
    new_gateway,
    new_ues,
    protected_seal_c,
)
from msgin5g.coap.message import Message
from msgin5g_testkit.network_sim import NetworkSim
from msgin5g_testkit.security import Numbers, key_of, kid_of, server_security
from oscore_server import protect_server, protect_ue

load("msgin5g.gateway.gateway")
SEAL_C_SECRET = bytes(range(16))


def gateway_security(ues, numbers=None, required=True, echo=None, seal_c=False):
    """The ServerSecurity of a gateway that has keys with these UEs (their numbers)."""
    own = (SEAL_C_SECRET, kid_of(GATEWAY_ID)) if seal_c else key_of(GATEWAY_ID)
    return server_security(
        own,
        [(name(n),) + key_of(name(n)) for n in ues],
        numbers or Numbers(),
        required,
        echo,
    )


def seal_c_security(echo=None, first=0):
    """The ServerSecurity of a configuration client that is a node of its own."""
    return server_security(
        key_of(GATEWAY_ID),
        [(GATEWAY_ID, SEAL_C_SECRET, kid_of(GATEWAY_ID))],
        Numbers(first),
        True,
        echo,
    )


def new_secured(numbers, documents, server=None, link_model=None, with_keys=None, required=True,
                is_separated=False, ues=None, **settings):  # fmt: skip
    """(sim, gateway, server, UEs): each UE of `numbers` has a key, and is driven by itself.

    with_keys: the UEs that have one, all without. ues: settings of the UEs; None for
    ManualClients, which a test drives.
    """
    keys = numbers if with_keys is None else with_keys
    sim = NetworkSim(link_model)
    security = gateway_security(keys, None, required, None, is_separated)
    if is_separated:
        gateway = protected_seal_c(
            seal_c_security(), new_gateway, sim, numbers, security=security, **settings
        )
    else:
        gateway = new_gateway(sim, numbers, security=security, **settings)
    a_server = new_bulk_server(sim, documents, **(server or {}))
    protect_server(a_server, (GATEWAY_ID,))
    if ues is None:
        clients = [ManualClient(sim, n) for n in numbers]
    else:
        clients = new_ues(sim, numbers, **ues)
    for n, client in zip(numbers, clients):
        if n in keys:
            protect_ue(client, name(n))
    return sim, gateway, a_server, clients


def side_of(sim, n, is_from_gateway):
    """The datagrams between the gateway and UE n, in one direction."""
    i = 2 if is_from_gateway else 1
    return [entry[3] for entry in sim.log if entry[i] == address(n)]


def number_of(datagram):
    """(Partial IV, ciphertext) of a protected datagram; the first is b"" where it has none."""
    message = Message(32).decode(datagram)
    value = message.option(9)
    if value is None:
        return None, None
    return bytes(value[1 : 1 + (value[0] & 7)]) if value else b"", bytes(message.payload())


def nonces(sim):
    """{(source, destination, who made the number, number): set of ciphertexts} of all messages.

    A response without a number of its own has that of its request.
    """
    found = {}
    asked = {}
    for _, source, destination, datagram in sim.log:
        number, text = number_of(datagram)
        if number is None:
            continue
        token = datagram[4 : 4 + (datagram[0] & 15)]
        is_request = datagram[1] < 32
        maker = source
        if is_request:
            asked[source, destination, token] = number
        elif not number:
            maker = destination
            number = asked[destination, source, token]
        key = (source, destination, maker, number)
        if key not in found:
            found[key] = set()
        found[key].add(text)
    return found


def check_no_nonce_twice(sim):
    """Fail if two messages that differ have the same key and nonce; how many nonces there are."""
    found = nonces(sim)
    for key in found:
        assert len(found[key]) == 1, key
    return len(found)
