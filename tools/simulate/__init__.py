"""`msgin5g simulate`: up to 100,000 constrained UEs behind one relay or gateway, in virtual time.

The UEs and the relay or gateway are the shipped firmware on CPython; the server is the real one
without its sockets (see server). `population` makes the UEs, `intermediary` the relay or gateway,
`simulation` runs all of them on `fast_network_sim`, `report` and `chart` show the figures.
"""
