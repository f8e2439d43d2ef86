"""Writes datagrams as a capture (pcap, raw IPv4) that Wireshark and `decode --pcap` read."""

from ipaddress import ip_address

from dpkt import pcap
from dpkt.ip import IP, IP_PROTO_UDP
from dpkt.udp import UDP


class CaptureWriter:
    """A capture in a binary file that is open for writing."""

    def __init__(self, file):
        self._writer = pcap.Writer(file, linktype=pcap.DLT_RAW)

    def write(self, seconds, source, target, datagram):
        """Add a datagram (bytes). seconds: since 1970. source, target: (IPv4 address, port)."""
        segment = UDP(sport=source[1], dport=target[1], data=datagram)
        segment.ulen = len(segment)
        packet = IP(
            src=ip_address(source[0]).packed, dst=ip_address(target[0]).packed, p=IP_PROTO_UDP
        )
        packet.data = segment
        packet.len = len(packet)
        self._writer.writepkt(bytes(packet), seconds)
