"""UDP datagrams out of a capture: classic pcap and pcapng, as tcpdump and Wireshark write them.

Link types: Ethernet (also with VLAN tags or MPLS), raw IP, Linux cooked (v1 and v2), BSD loopback.
IPv4 and IPv6. Fragments are not reassembled: they are skipped and counted.

dpkt knows the layout of every header and block. The loops over them are ours: dpkt's readers end
silently where a file is cut off, and its pcapng reader knows one interface and no simple packet
blocks.
"""

import struct
from collections import namedtuple
from ipaddress import ip_address

import dpkt
from dpkt import pcap, pcapng
from dpkt.ethernet import Ethernet
from dpkt.ip import IP
from dpkt.ip6 import IP6
from dpkt.loopback import Loopback
from dpkt.sll import SLL
from dpkt.sll2 import SLL2
from dpkt.udp import UDP

# number: of the frame, from 1, as Wireshark counts. seconds: since the first frame. source,
# target: (host, port).
Datagram = namedtuple("Datagram", "number seconds source target payload")

_Interface = namedtuple("_Interface", "link_type units snaplen")  # units: of its clock in a second

_NANO = (pcap.TCPDUMP_MAGIC_NANO, pcap.PMUDPCT_MAGIC_NANO)
_SWAPPED = (pcap.PMUDPCT_MAGIC, pcap.PMUDPCT_MAGIC_NANO)
_CLASSIC = (pcap.TCPDUMP_MAGIC, pcap.TCPDUMP_MAGIC_NANO, *_SWAPPED)
_SIMPLE_PACKET = 3
_BLOCKS = {  # byte order -> {block type: its class}
    ">": {
        pcapng.PCAPNG_BT_IDB: pcapng.InterfaceDescriptionBlock,
        pcapng.PCAPNG_BT_EPB: pcapng.EnhancedPacketBlock,
        pcapng.PCAPNG_BT_PB: pcapng.PacketBlock,
    },
    "<": {
        pcapng.PCAPNG_BT_IDB: pcapng.InterfaceDescriptionBlockLE,
        pcapng.PCAPNG_BT_EPB: pcapng.EnhancedPacketBlockLE,
        pcapng.PCAPNG_BT_PB: pcapng.PacketBlockLE,
    },
}
_FRAGMENT_HEADER = 44


def _raw_ip(frame):
    return IP6(frame) if frame[0] >> 4 == 6 else IP(frame)


_FRAMES = {  # link type -> class of the frame
    0: Loopback,
    1: Ethernet,
    12: _raw_ip,
    14: _raw_ip,
    101: _raw_ip,
    108: Loopback,
    113: SLL,
    228: IP,
    229: IP6,
    276: SLL2,
}
# What a damaged frame or block raises in dpkt.
_DAMAGE = (dpkt.Error, struct.error, IndexError, KeyError, ValueError, AttributeError)


class CaptureError(Exception):
    """A file that is not a capture, or ends within a frame; the text says where."""


class Capture:
    """The frames of a capture file (bytes). n_fragments: how many fragments were skipped."""

    def __init__(self, data):
        self._data = data
        self.n_frames = 0
        self.n_fragments = 0

    def datagrams(self):
        """Every UDP Datagram, in order; CaptureError at the point where the file is damaged."""
        start = None
        for link_type, seconds, frame in self._frames():
            self.n_frames += 1
            start = seconds if start is None and seconds is not None else start
            if link_type not in _FRAMES:
                raise CaptureError(
                    f"frame {self.n_frames}: link type {link_type} is not supported"
                )
            try:
                found = self._udp(_FRAMES[link_type](frame))
            except _DAMAGE:
                continue  # a frame that the capture cut short, or with wrong lengths
            if found:
                yield Datagram(self.n_frames, (seconds or start or 0) - (start or 0), *found)

    def _frames(self):
        """(link type, seconds or None, frame) one by one."""
        magic = int.from_bytes(self._data[:4], "big")
        if magic == pcapng.PCAPNG_BT_SHB:
            return self._next_generation()
        if magic in _CLASSIC and len(self._data) >= pcap.FileHdr.__hdr_len__:
            return self._classic(magic)
        raise CaptureError("neither pcap nor pcapng")

    def _classic(self, magic):
        file_header = pcap.LEFileHdr if magic in _SWAPPED else pcap.FileHdr
        link_type = file_header(self._data).linktype & 0x0FFFFFFF
        header = pcap.MAGIC_TO_PKT_HDR[magic]
        units = 10**9 if magic in _NANO else 10**6
        i = file_header.__hdr_len__
        while i < len(self._data):
            head = header(self._take(i, header.__hdr_len__, "header"))
            i += header.__hdr_len__
            frame = self._take(i, head.caplen, "frame")
            yield link_type, head.tv_sec + head.tv_usec / units, frame
            i += head.caplen

    def _next_generation(self):
        interfaces, order, i = [], "<", 0
        while i < len(self._data):
            kind, size = struct.unpack(order + "II", self._take(i, 8, "header"))
            if kind == pcapng.PCAPNG_BT_SHB:  # reads the same in both byte orders
                mark = int.from_bytes(self._take(i + 8, 4, "header"), "big")
                order = ">" if mark == pcapng.BYTE_ORDER_MAGIC else "<"
                size = struct.unpack(order + "I", self._data[i + 4 : i + 8])[0]
                interfaces = []
            if size < 12 or size % 4:
                raise CaptureError(f"byte {i + 4}: a block of {size} bytes")
            data = self._take(i, size, "block")
            try:
                if kind == _SIMPLE_PACKET:
                    yield _simple_packet(order, data, interfaces[0])
                elif kind in _BLOCKS[order]:
                    block = _BLOCKS[order][kind](data)
                    if kind == pcapng.PCAPNG_BT_IDB:
                        interfaces.append(_interface(block))
                    else:
                        yield _packet(block, interfaces[block.iface_id])
            except _DAMAGE:
                raise CaptureError(
                    f"byte {i}: a damaged block, or one without interface"
                ) from None
            i += size

    def _take(self, i, size, what):
        """`size` bytes from byte i; CaptureError when the file has fewer."""
        if i + size > len(self._data):
            size = "" if what == "header" else f" of {size} bytes"
            raise CaptureError(f"byte {i}: the file ends within a {what}{size}")
        return self._data[i : i + size]

    def _udp(self, packet):
        """(source, target, payload) of a frame, or None when there is no whole UDP datagram."""
        while isinstance(packet, dpkt.Packet) and not isinstance(packet, (IP, IP6)):
            packet = packet.data
        if isinstance(packet, IP):
            is_fragment = packet.p == dpkt.ip.IP_PROTO_UDP and (packet.mf or packet.offset)
        elif isinstance(packet, IP6):
            is_fragment = _FRAGMENT_HEADER in packet.extension_hdrs
        else:
            return None
        if is_fragment:
            self.n_fragments += 1
            return None
        segment = packet.data
        if not isinstance(segment, UDP) or not 8 <= segment.ulen <= len(segment):
            return None
        source = str(ip_address(packet.src)), segment.sport
        target = str(ip_address(packet.dst)), segment.dport
        return source, target, bytes(segment.data[: segment.ulen - 8])


def _read_block(order, kind, data, interfaces):
    """A packet as _frames yields it, or None; an interface block joins `interfaces`."""
    if kind == _SIMPLE_PACKET:
        return _simple_packet(order, data, interfaces[0])
    if kind not in _BLOCKS[order]:
        return None
    block = _BLOCKS[order][kind](data)
    if kind == pcapng.PCAPNG_BT_IDB:
        interfaces.append(_interface(block))
        return None
    return _packet(block, interfaces[block.iface_id])


def _interface(block):
    units = 10**6
    for option in block.opts:
        if option.code == pcapng.PCAPNG_OPT_IF_TSRESOL:
            resolution = option.data[0]
            units = 2 ** (resolution & 127) if resolution & 128 else 10**resolution
    return _Interface(block.linktype, units, block.snaplen)


def _packet(block, interface):
    ticks = block.ts_high << 32 | block.ts_low
    return interface.link_type, ticks / interface.units, block.pkt_data


def _simple_packet(order, data, interface):
    size = struct.unpack_from(order + "I", data, 8)[0]
    if interface.snaplen:  # 0: no limit
        size = min(size, interface.snaplen)
    return interface.link_type, None, data[12 : min(12 + size, len(data) - 4)]
