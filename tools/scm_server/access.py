"""Who may have which configuration, and who may change documents (TS 24.546 C.3.1)."""

from aiocoap.numbers import codes
from aiocoap.util import hostportsplit

from msgin5g_tools.scm_server import query
from msgin5g_tools.scm_server.contexts import ADMINISTRATOR, UE
from msgin5g_tools.scm_server.identity import is_loopback, normal_host, normal_uri
from msgin5g_tools.scm_server.problem import Problem
from msgin5g_tools.scm_server.security import owner_of


class Access:
    """The deny list, the entitled gateways, and what the owner of a key may have."""

    def __init__(self, store, settings, security):
        self._store = store
        self._settings = settings
        self._security = security

    def require_protection(self, request):
        """Problem 4.01 for a request without OSCORE, where the operator asks for it."""
        if self._settings.require_security and owner_of(request) is None:
            detail = "requests must be protected by OSCORE"
            raise Problem(codes.UNAUTHORIZED, detail, max_age=0)

    def entitled(self, request, selector):
        """The Selector of what this peer may have of what it asks for, or Problem 4.03."""
        owner = owner_of(request)
        if owner is not None and owner.kind == UE:
            return _of_ue(owner, selector)
        if owner is not None and owner.kind != ADMINISTRATOR:
            return self._of_gateway(owner, selector)
        self._check_bulk(request, selector)
        return selector

    def require_none_denied(self, selector):
        """Problem 4.03 when one of these UEs is on the deny list."""
        denied = self._store.first_denied(selector.uris)
        if denied is not None:
            raise Problem(codes.FORBIDDEN, f"{denied} is not allowed")

    def require_writer(self, request):
        """Problem 4.03 unless this peer may change documents."""
        if self._settings.read_only:
            raise Problem(
                codes.FORBIDDEN, "this server is read-only: it accepts no documents over CoAP"
            )
        if not self._is_administrators(request):
            raise Problem(
                codes.FORBIDDEN,
                "documents are changed by an administrator only, or on the server's machine",
            )

    def _check_bulk(self, request, selector):
        if selector.bulk and owner_of(request) is None:
            entitled = {*self._settings.gateways, *self._store.gateways()}
            host = normal_host(hostportsplit(request.remote.hostinfo)[0])
            if entitled and host not in entitled:
                raise Problem(codes.FORBIDDEN, f"{host} is not entitled to bulk configuration")

    def _of_gateway(self, owner, selector):
        if not selector.uris:
            raise Problem(codes.FORBIDDEN, "a gateway asks for UEs: add ue-uri")
        others = [uri for uri in selector.uris if normal_uri(uri) != owner.name]
        foreign = self._security.first_foreign(owner.name, others)
        if foreign is not None:
            raise Problem(codes.FORBIDDEN, f"{foreign} is not a UE of this gateway")
        return selector._replace(vendor=None, type=None, snr=None)

    @staticmethod
    def _is_administrators(request):
        owner = owner_of(request)
        if owner is not None:
            return owner.kind == ADMINISTRATOR
        return is_loopback(hostportsplit(request.remote.hostinfo)[0])


def _of_ue(owner, selector):
    """The Selector of a UE that has proved its UE ID, or Problem 4.03."""
    if selector.bulk:
        raise Problem(codes.FORBIDDEN, "bulk configuration is for gateways")
    for uri in selector.uris:
        if normal_uri(uri) != owner.name:
            raise Problem(codes.FORBIDDEN, f"the key is that of {owner.spelling}, not of {uri}")
    # Nothing shows that its vendor and its IMEI are true.
    return query.Selector(None, None, None, (owner.spelling,), False)
