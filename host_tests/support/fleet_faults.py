"""Faults that the gateway and the relay once had, to be put back into a copy of the firmware.

Each shows that the state machine of fleet_machine finds its kind by itself. A fault is a change of
the source; `put_back` says so when the source has changed and the fault has to be written anew.
"""

import shutil
from collections import namedtuple
from pathlib import Path

_BULK = "msgin5g/gateway/bulk_transfer.py"
_CACHE = "msgin5g/gateway/cache.py"
_GATEWAY = "msgin5g/gateway/gateway.py"
_OBSERVERS = "msgin5g/gateway/observers.py"
_PENDING = "msgin5g/gateway/pending_requests.py"
_RELAY = "msgin5g/relay.py"
_REQUEST = "msgin5g/scm/request.py"
_SCHEDULER = "msgin5g/gateway/scheduler.py"
_SHARED = "msgin5g/gateway/shared_documents.py"
_SPLITTER = "msgin5g/scm/document_splitter.py"

# name: what went wrong, as a sentence. middle: see Fleet. changes: (file, old text, new text), the
# old text is there once.
Fault = namedtuple("Fault", ("name", "middle", "changes"))

FAULTS = (
    Fault(
        "a document that was fetched for one UE is given to every other one",
        "gateway",
        (
            (
                _CACHE,
                "        permission = ue.permission\n"
                "        if permission is None or permission.document_id != self.key:\n"
                "            return False\n",
                "        return True\n",
            ),
        ),
    ),
    Fault(
        "a UE that the server has refused still gets what is kept",
        "gateway",
        (
            (
                _CACHE,
                'is for it any more."""\n',
                'is for it any more."""\n        return\n',
            ),
        ),
    ),
    Fault(
        "the time-out of an old response ends the observations of its UE",
        "gateway",
        (
            (
                _GATEWAY,
                "        if isinstance(owner, Observer):\n"
                "            self.observers.remove(owner)\n",
                "        if isinstance(owner, Observer):\n"
                "            self.observers.remove(owner)\n"
                "        elif owner is not None:\n"
                "            self.observers.remove_all(owner)\n",
            ),
        ),
    ),
    Fault(
        "Observe 1 with an unrelated token ends the observations of its UE",
        "gateway",
        (
            (
                _GATEWAY,
                "self._end_observation(self.observers.find(ue, endpoint.message.token()))",
                "self.observers.remove_all(ue)",
            ),
        ),
    ),
    Fault(
        "the relay passes a notification that is older than the last one",
        "relay",
        (
            (
                _RELAY,
                "if observing and not flow.exchange.newer(number, now):",
                "if False:",
            ),
        ),
    ),
    Fault(
        "the gateway takes a notification that is older than the last one",
        "gateway",
        (
            (
                _SHARED,
                "if is_observing and not exchange.newer(number, now):",
                "if False:",
            ),
        ),
    ),
    Fault(
        "a bulk request drops the queries of its UEs",
        "gateway",
        (
            (
                _SCHEDULER,
                "queries = request.parameters.queries\n        group =",
                "queries = ()\n        group =",
            ),
            (
                _SCHEDULER,
                "group = self._groups.get(request.parameters.queries)\n        if",
                "group = self._groups.get(())\n        if",
            ),
            (
                _BULK,
                "self._queries = queries = requests[0].parameters.queries",
                "self._queries = queries = () if requests[1:] else requests[0].parameters.queries",
            ),
            (
                _BULK,
                "scheduler.ask_alone(without, True)",
                'responder.fail(without, NOT_FOUND, "Not found")',
            ),
        ),
    ),
    Fault(
        "what is missing in a bulk answer is a 4.04",
        "gateway",
        (
            (
                _BULK,
                "scheduler.ask_alone(without, True)",
                'responder.fail(without, NOT_FOUND, "Not found")',
            ),
        ),
    ),
    Fault(
        "what the server refuses to several UEs is refused to each of them",
        "gateway",
        (
            (
                _BULK,
                "            self._release_documents()\n            requests = self.requests\n",
                "            response = Response(code, message.payload(), max_age_s)\n"
                "            transfers.responder.respond(self.requests, response)\n"
                "            requests = []\n",
            ),
        ),
    ),
    Fault(
        "a document for a type of UE is for none",
        "gateway",
        ((_SPLITTER, "if imei is not None and self.has_imei(imei):", "if False:"),),
    ),
    Fault(
        "a document for a type of UE names each of them by its URI",
        "gateway",
        ((_SPLITTER, "self._copy_of_type(ue_id, imei))", "self.copy(ue_id))"),),
    ),
    Fault(
        "a request for an individual document with a query is for one UE alone",
        "gateway",
        (
            (_REQUEST, "[option for option in query if not is_filter(option[1])]", "query"),
            (_PENDING, "elif not is_filter(value):", "else:"),
        ),
    ),
    Fault(
        "an answer with an unknown critical option is asked for again at once",
        "gateway",
        (
            (
                _BULK,
                "            transfer.rejected(Response(BAD_GATEWAY, payload))\n",
                "            transfer.download.exchange = None\n"
                "            transfer.download.wants_next = True\n",
            ),
        ),
    ),
    Fault(
        "the link of a UE that has moved goes on at its old address",
        "relay",
        (
            (
                _RELAY,
                "            self.link_down(ue_id)\n        return",
                "            pass\n        return",
            ),
        ),
    ),
)


def put_back(fault, firmware, folder):
    """A copy of the firmware in `folder` that has the fault."""
    shutil.copytree(firmware, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in fault.changes:
        path = Path(folder, name)
        text = path.read_text()
        assert text.count(old) == 1, f"{fault.name}: not once in {name}: {old!r}"
        path.write_text(text.replace(old, new))
    return folder
