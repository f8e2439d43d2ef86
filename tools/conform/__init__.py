"""The conformance kit: `msgin5g conform`. It plays the other side with raw datagrams.

It shares no code with firmware/ and none with the server of tools/scm_server, so that one mistake
cannot be on both sides. See docs/conformance.md.

    wire        messages as bytes         station     a UDP socket and what has arrived there
    check       a check and its verdict   case        what one check has sent and received
    profile     what is known about the implementation under test
    server_*    checks of a server        relay_*, gateway_*, ue_*    of the other roles
"""
