"""A server as its author wrote it for microCoAPy; argv: own port."""

import sys
import time

import microcoapy

server = microcoapy.Coap()
server.debug = False
later = []


def measureCurrent(packet, senderIp, senderPort):
    print("measure", packet.toString())
    server.sendResponse(
        senderIp,
        senderPort,
        packet.messageid,
        "222",
        microcoapy.COAP_RESPONSE_CODE.COAP_CONTENT,
        microcoapy.COAP_CONTENT_FORMAT.COAP_NONE,
        packet.token,
    )


def turnOn(packet, senderIp, senderPort):
    print("turnOn", packet.payload.decode(), packet.content_format)
    code = microcoapy.COAP_RESPONSE_CODE.COAP_CHANGED
    server.sendResponse(senderIp, senderPort, packet.messageid, None, code, -1, packet.token)


def slowly(packet, senderIp, senderPort):
    later.append((time.ticks_ms(), senderIp, senderPort, packet))


server.addIncomingRequestCallback("current/measure", measureCurrent)
server.addIncomingRequestCallback("led/turnOn", turnOn)
server.addIncomingRequestCallback("slow", slowly)
server.start(int(sys.argv[1]))
print("started")

start_time = time.ticks_ms()
while time.ticks_diff(time.ticks_ms(), start_time) < 30000:
    server.poll(100, 50)
    if later and time.ticks_diff(time.ticks_ms(), later[0][0]) > 1300:
        _, ip, port, packet = later.pop(0)
        code = microcoapy.COAP_RESPONSE_CODE.COAP_CONTENT
        server.sendResponse(ip, port, packet.messageid, "at last", code, 0, packet.token)
