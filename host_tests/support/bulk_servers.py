"""The server of the test kit for documents that several UEs share, and for answers with faults."""

from msgin5g.coap.numbers import FORBIDDEN
from msgin5g_testkit.servers import Server


class BulkServer(Server):
    """documents: list of UeConfigDoc, each as dict; entitled: whether bulk is allowed.

    A document is for the UEs that it names, or whose vendor, TAC or serial number it has
    (ueVendors, imeiRanges). one_by_one: it answers for the first ue-uri only.

    asked: (UE IDs, number of the block, document ID, observe) of every request that was worked;
    faults: {number of the request: (code, options, payload) to give instead}.
    """

    def __init__(self, random, documents, denied=(), entitled=True, faults=None, one_by_one=False,
                 **options):  # fmt: skip
        super().__init__(random, documents, denied, **options)
        self.entitled = entitled
        self.one_by_one = one_by_one
        self.faults = faults or {}
        self.asked = []
        self.queries = []
        self.largest = 0  # request, bytes

    @property
    def bulks(self):
        """The ID lists of the bulk requests, without those for later blocks."""
        return [a[0] for a in self.asked if len(a[0]) > 1 and not a[1]]

    def note(self, request):
        self.largest = max(self.largest, self.endpoint.message.size)
        ids, queries = request.ids, request.queries
        assert (len(ids) > 1) == (b"bulkConfFlag=msgin5g-bulk" in queries), queries
        self.queries.append(queries)
        self.asked.append((ids, request.block >> 4, request.document_id, request.observe))

    def change(self, document_id, doc):
        """Give a document, None for none, a new content, and notify its observers."""
        self.documents = [d for d in self.documents if d["ueConfigDocId"] != document_id]
        if doc is not None:
            self.documents.append(doc)
        self.notify(lambda request: request.document_id == document_id)

    def documents_of(self, request):
        document_id = request.document_id
        ids = request.ids[:1] if self.one_by_one else request.ids
        found = []
        for doc in self.documents:
            named = doc.get("valUeIds")
            if document_id in (None, doc["ueConfigDocId"]) and (
                (named is None and "ueVendors" not in doc)
                or any(i in (named or {}).get("uris", ()) for i in ids)
                or selected(doc, request.queries)
                or (document_id and "imeiRanges" in (named or {}) and "uris" not in named)
                or (document_id and "ueVendors" in doc)
            ):
                found.append(doc)
        return found

    def refusal(self, request):
        refusal = super().refusal(request)
        if refusal or self.entitled or len(request.ids) == 1:
            return refusal
        return FORBIDDEN, "Forbidden", "gateway is not allowed"

    def representation(self, request, sequence):
        if request.number in self.faults:
            return self.faults.pop(request.number)
        return super().representation(request, sequence)


def selected(doc, queries):
    """Whether the queries select a document, as tools/scm_server has it."""
    values = {}
    for query in queries:
        key, _, value = query.decode().partition("=")
        values[key] = value
    if values.get("ue-vendor") in doc.get("ueVendors", ()):
        return True
    tac = values.get("ue-type")
    snr = values.get("ue-snr")
    for imei in doc.get("valUeIds", {}).get("imeiRanges", ()) if tac else ():
        if imei["tac"] == tac and (
            snr is None or "snrs" not in imei or int(snr) in [int(n) for n in imei["snrs"]]
        ):
            return True
    return False
