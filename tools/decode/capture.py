"""UDP datagrams out of a capture: classic pcap and pcapng, as tcpdump and Wireshark write them.

Link types: Ethernet (also with VLAN tags or MPLS), raw IP, Linux cooked (v1 and v2), BSD loopback.
IPv4 and IPv6. Fragments are not reassembled: they are skipped and counted.

dpkt knows the layout of every header and block. The loops over them are ours: dpkt's readers end
silently where a file is cut off, and its pcapng reader knows one interface and no simple packet
blocks.
"""

import io
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
    """The frames of a capture: bytes, or a binary file that is read as it grows, as a pipe is.

    n_fragments: how many fragments were skipped.
    """

    def __init__(self, data):
        self._file = io.BytesIO(data) if isinstance(data, bytes) else data
        self._position = 0
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
        mark = self._file.read(4)
        magic = int.from_bytes(mark, "big")
        if magic == pcapng.PCAPNG_BT_SHB:
            return self._next_generation(mark)
        if magic in _CLASSIC:
            data = mark + self._file.read(pcap.FileHdr.__hdr_len__ - 4)
            if len(data) == pcap.FileHdr.__hdr_len__:
                self._position = len(data)
                return self._classic(magic, data)
        raise CaptureError("neither pcap nor pcapng")

    def _classic(self, magic, data):
        file_header = pcap.LEFileHdr if magic in _SWAPPED else pcap.FileHdr
        link_type = file_header(data).linktype & 0x0FFFFFFF
        header = pcap.MAGIC_TO_PKT_HDR[magic]
        units = 10**9 if magic in _NANO else 10**6
        while data := self._take(header.__hdr_len__, "header", may_end=True):
            head = header(data)
            yield link_type, head.tv_sec + head.tv_usec / units, self._take(head.caplen, "frame")

    def _next_generation(self, mark):
        interfaces, order = [], "<"
        while head := self._take(8, "header", mark, may_end=True):
            mark = b""
            begin = self._position - 8
            kind, size = struct.unpack(order + "II", head)
            if kind == pcapng.PCAPNG_BT_SHB:  # reads the same in both byte orders
                head += self._take(4, "header")
                is_big = int.from_bytes(head[8:], "big") == pcapng.BYTE_ORDER_MAGIC
                order = ">" if is_big else "<"
                size = struct.unpack(order + "I", head[4:8])[0]
                interfaces = []
            if size < 12 or size % 4:
                raise CaptureError(f"byte {begin + 4}: a block of {size} bytes")
            data = self._take(size, "block", head)
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
                    f"byte {begin}: a damaged block, or one without interface"
                ) from None

    def _take(self, size, what, begun=b"", may_end=False):
        """The next `size` bytes, the first of which are `begun`.

        CaptureError when the file has fewer; where it may end here, b"" when it has none.
        """
        begin = self._position - (len(begun) if self._position else 0)
        data = begun + self._file.read(size - len(begun))
        if not data and may_end:
            return b""
        if len(data) < size:
            size = "" if what == "header" else f" of {size} bytes"
            raise CaptureError(f"byte {begin}: the file ends within a {what}{size}")
        self._position = begin + size
        return data

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
