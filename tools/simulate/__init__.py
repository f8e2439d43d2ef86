"""`msgin5g simulate`: very many constrained UEs behind one relay or gateway, in virtual time.

UEs and hop are the shipped firmware, on CPython; the server is the real one without its sockets
(see server). `population` makes the UEs, `hop` the relay or gateway, `simulation` plays them all
on tools/virtual, `report` and `picture` say what was seen.
"""
