"""The resources of SU_UeConfig (TS 24.546 C.3.1) and the response of each method.

/su-uc/v1/val-services/{valServiceId}/ue-configurations                  GET POST
/su-uc/v1/val-services/{valServiceId}/ue-configurations/{ueConfigDocId}  GET PUT DELETE
/.well-known/core                                                        GET

With a path prefix in the settings the first two are below it.
"""

import secrets
from collections import namedtuple
from urllib.parse import quote

from aiocoap.numbers import codes
from aiocoap.numbers.optionnumbers import OptionNumber

from msgin5g_tools.scm_server import link_format, store, ue_config
from msgin5g_tools.scm_server.problem import Problem

CBOR = 60  # application/cbor, the alias of our own Content-Format
CORE, COLLECTION, DOCUMENT = "core", "collection", "document"
_METHODS = {
    CORE: (codes.GET,),
    COLLECTION: (codes.GET, codes.POST),
    DOCUMENT: (codes.GET, codes.PUT, codes.DELETE),
}
_CONDITIONS = (OptionNumber.IF_MATCH, OptionNumber.IF_NONE_MATCH)
_MAX_COLLECTION = 1024 * 1024  # bytes of several documents in one response
_MAX_KEPT = 8  # payloads kept while their clients fetch the blocks
_ONE_BLOCK = 1024  # bytes: what fits in one block is not kept

Route = namedtuple("Route", "kind service doc_id")
Reply = namedtuple("Reply", "code payload content_format etag location")


def reply(code, payload=b"", content_format=None, etag=None, location=()):
    return Reply(code, payload, content_format, etag, location)


def find(path, prefix):
    """The Route of a Uri-Path, or None. prefix: the segments before `su-uc`, a tuple."""
    if path == (".well-known", "core"):
        return Route(CORE, None, None)
    n = len(prefix)
    if path[:n] != prefix:
        return None
    path = path[n:]
    if len(path) not in (5, 6) or path[:3] != ("su-uc", "v1", "val-services"):
        return None
    if path[4] != "ue-configurations" or not all(path[3:]):
        return None
    doc_id = path[5] if len(path) == 6 else None
    return Route(DOCUMENT if doc_id else COLLECTION, path[3], doc_id)


def require(found, path, method):
    """Problem 4.04 when there is no such resource, 4.05 when it lacks the method."""
    if found is None:
        raise Problem(codes.NOT_FOUND, "no such resource: /" + "/".join(path))
    allowed = _METHODS[found.kind]
    if method not in allowed:
        names = ", ".join(str(code) for code in allowed)
        raise Problem(codes.METHOD_NOT_ALLOWED, f"this resource has {names} only")


def undefined_options(found, method):
    """Critical options that are not defined for this method on this resource."""
    if found is None:
        return []
    numbers = [] if found.kind == DOCUMENT else list(_CONDITIONS)
    if method in (codes.GET, codes.DELETE):
        numbers.append(OptionNumber.BLOCK1)
    return numbers


class Resources:
    def __init__(self, documents, settings):
        self._store = documents
        self._settings = settings
        self._kept = {}  # (service, selector) -> (state, payload, etag), oldest first

    def content_format(self, request):
        """The Content-Format that the client accepts, or Problem 4.06."""
        accept = request.opt.accept
        ours = self._settings.content_format
        if accept is None:
            return ours
        if accept not in (ours, CBOR):
            raise Problem(
                codes.NOT_ACCEPTABLE, f"Accept {int(accept)} is not {ours} or {CBOR} (CBOR)"
            )
        return int(accept)

    def check_format(self, request):
        """Problem 4.15 when the Content-Format of the body is another one than ours."""
        given = request.opt.content_format
        ours = self._settings.content_format
        if given is not None and given not in (ours, CBOR):
            raise Problem(
                codes.UNSUPPORTED_CONTENT_FORMAT,
                f"Content-Format {int(given)} is not {ours} or {CBOR} (CBOR)",
            )

    def core(self, request):
        """The list of collections (RFC 6690), with the client's filter applied."""
        if request.opt.accept not in (None, link_format.CONTENT_FORMAT):
            wanted = f"{link_format.CONTENT_FORMAT} (link-format)"
            raise Problem(codes.NOT_ACCEPTABLE, f"this resource is {wanted}")
        services = dict.fromkeys([self._settings.service_id, *self._store.services()])
        attributes = {"ct": f"{self._settings.content_format} {CBOR}", "rt": "su-uc"}
        found = [link_format.Link("/.well-known/core", {"ct": str(link_format.CONTENT_FORMAT)})]
        for service in services:
            path = self._collection_path(service)
            text = "".join("/" + quote(segment, safe="") for segment in path)
            found.append(link_format.Link(text, attributes))
        for item in request.opt.uri_query:
            found = [link for link in found if link_format.matches(link, item)]
        payload = link_format.text(found)
        return reply(codes.CONTENT, payload, link_format.CONTENT_FORMAT, store.etag(payload))

    def get(self, found, selector, content_format, by_uri=False):
        """GET of a collection or of a document; the Site compares the ETag.

        by_uri: who asks has proved its UE ID, and nothing else about it.
        """
        if found.kind == DOCUMENT:
            payload = self._document(found, selector, by_uri)
            tag = store.etag(payload)
        else:
            payload, tag = self._collection(found, selector)
        return reply(codes.CONTENT, payload, content_format, tag)

    def _document(self, found, selector, by_uri):
        if selector.uris:
            row = self._store.body_for(found.service, found.doc_id, selector.uris, by_uri)
        else:
            row = self._store.body(found.service, found.doc_id), True
        if row is None or row[0] is None:
            raise Problem(codes.NOT_FOUND, f"no document '{found.doc_id}'")
        body, is_for = row
        if not is_for:
            raise Problem(codes.FORBIDDEN, "the document is for other UEs")
        if not selector.uris and self._store.names_denied(found.service, found.doc_id):
            raise Problem(
                codes.FORBIDDEN, "the document names a UE that is not allowed: add ue-uri"
            )
        return body

    def _collection(self, found, selector):
        key, state = (found.service, selector), self._store.state()
        kept = self._kept.get(key)
        if kept and kept[0] == state:
            return kept[1:]
        limits = store.Limits(self._settings.max_documents, _MAX_COLLECTION)
        bodies = self._store.select(found.service, selector, limits)
        if bodies is None:
            raise Problem(
                codes.FORBIDDEN,
                f"more than {limits.n_documents} documents, or {limits.size} bytes, match:"
                " ask with ue-uri, ue-type and ue-snr, or ue-vendor, for fewer",
            )
        if not bodies and selector.uris and not selector.bulk:
            raise Problem(codes.NOT_FOUND, "no document for this UE")
        payload = store.array(bodies)
        tag = store.etag(payload)
        if len(payload) > _ONE_BLOCK:
            self._kept.pop(key, None)
            if len(self._kept) >= _MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = state, payload, tag
        return payload, tag

    def change(self, found, request, body, by):
        """POST, PUT or DELETE, in one transaction. by: who asks, in a few words."""
        with self._store.transaction():
            if found.kind == DOCUMENT:
                self._check_conditions(found, request)
            if request.code == codes.DELETE:
                if not self._store.delete(found.service, found.doc_id, by):
                    raise Problem(codes.NOT_FOUND, f"no document '{found.doc_id}'")
                return reply(codes.DELETED)
            return self._save(found, body, by)

    def _save(self, found, body, by):
        if not body:
            raise Problem(codes.BAD_REQUEST, "body is empty")
        # Not at the top: a simulation has resources, and pydantic would be a third of its program.
        from msgin5g_tools.scm_server import ue_config_check

        document = ue_config.decode(body)
        ue_config_check.require(document, found.service, found.doc_id)
        doc_id = found.doc_id or self._new_id(found.service)
        outcome = self._store.put(found.service, doc_id, document, by)
        location = ()
        if found.doc_id is None:
            location = (*self._collection_path(found.service), doc_id)
        return reply(
            codes.CREATED if outcome == "created" else codes.CHANGED,
            etag=store.etag(self._store.body(found.service, doc_id)),
            location=location,
        )

    def _collection_path(self, service):
        prefix = self._settings.prefix
        return (*prefix, "su-uc", "v1", "val-services", service, "ue-configurations")

    def _new_id(self, service):
        while True:
            doc_id = secrets.token_hex(4)
            if self._store.body(service, doc_id) is None:
                return doc_id

    def _check_conditions(self, found, request):
        # RFC 7252 section 5.10.8: an empty If-Match value asks for any existing document.
        body = self._store.body(found.service, found.doc_id)
        wanted = request.opt.if_match
        if wanted and (body is None or not {b"", store.etag(body)} & set(wanted)):
            raise Problem(codes.PRECONDITION_FAILED, "the document is not the one in If-Match")
        if request.opt.if_none_match and body is not None:
            raise Problem(codes.PRECONDITION_FAILED, "the document exists already")
