"""UDP datagrams out of a capture: classic pcap and pcapng, as tcpdump and Wireshark write them.

Link types: Ethernet (VLAN tags too), raw IP, Linux cooked (v1 and v2), BSD loopback. IPv4 and
IPv6. A fragment of a larger IP packet is skipped and counted.
"""

import struct
from collections import namedtuple
from ipaddress import ip_address

# number: of the frame, from 1, as Wireshark counts. seconds: since the first frame. source,
# target: (host, port).
Datagram = namedtuple("Datagram", "number seconds source target payload")

_MAGIC = {  # of classic pcap, read big-endian: (byte order, parts of a second)
    0xA1B2C3D4: (">", 10**6),
    0xD4C3B2A1: ("<", 10**6),
    0xA1B23C4D: (">", 10**9),
    0x4D3CB2A1: ("<", 10**9),
}
_SECTION, _INTERFACE, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 3, 6
_IPV4, _IPV6 = 0x0800, 0x86DD
_VLANS = (0x8100, 0x88A8, 0x9100)
_RAW = {12: None, 14: None, 101: None, 228: _IPV4, 229: _IPV6}
_UDP = 17
_IPV6_HEADERS = (0, 43, 60, 135)  # hop-by-hop, routing, destination options, mobility


class CaptureError(Exception):
    """A file that is not a capture, or ends within a frame; the text says where."""


class Capture:
    """The frames of a capture file (bytes). n_fragments: how many fragments were skipped."""

    def __init__(self, data):
        self._data = data
        self.n_frames = 0
        self.n_fragments = 0

    def datagrams(self):
        """Every UDP Datagram, in order; CaptureError when the file goes wrong, at that point."""
        start = None
        for link_type, seconds, frame in self._frames():
            self.n_frames += 1
            start = seconds if start is None and seconds is not None else start
            try:
                found = self._udp(link_type, frame)
            except (struct.error, IndexError, ValueError):
                continue  # shorter than its headers: cut by the capture, or not what it says
            if found:
                yield Datagram(self.n_frames, (seconds or start or 0) - (start or 0), *found)

    def _frames(self):
        """(link type, seconds or None, frame) one by one."""
        magic = int.from_bytes(self._data[:4], "big")
        if magic == _SECTION:
            return self._next_generation()
        if magic in _MAGIC and len(self._data) >= 24:
            return self._classic(*_MAGIC[magic])
        raise CaptureError("neither pcap nor pcapng")

    def _classic(self, order, parts):
        link_type = struct.unpack_from(order + "I", self._data, 20)[0] & 0x0FFFFFFF
        i = 24
        while i < len(self._data):
            second, part, size, _ = self._unpack(order + "IIII", i)
            yield link_type, second + part / parts, self._take(i + 16, size)
            i += 16 + size

    def _next_generation(self):
        interfaces, order, i = [], "<", 0
        while i < len(self._data):
            kind = self._unpack(order + "I", i)[0]
            if kind == _SECTION:
                order = ">" if self._unpack(">I", i + 8)[0] == 0x1A2B3C4D else "<"
                interfaces = []
            size = self._unpack(order + "I", i + 4)[0]
            if size < 12 or size % 4:
                raise CaptureError(f"byte {i + 4}: a block of {size} bytes")
            block = self._take(i + 8, size - 12)
            if kind == _INTERFACE:
                interfaces.append(self._interface(order, block, i))
            elif kind in (_PACKET, _SIMPLE_PACKET):
                yield self._packet(order, kind, block, interfaces, i)
            i += size

    def _interface(self, order, block, at):
        """(link type, parts of a second, most bytes of a frame) of an interface description."""
        if len(block) < 8:
            raise CaptureError(f"byte {at}: an interface block of {len(block)} bytes")
        link_type, _, most = struct.unpack_from(order + "HHI", block)
        parts, i = 10**6, 8
        while i + 4 <= len(block):
            code, size = struct.unpack_from(order + "HH", block, i)
            if code == 9 and size == 1 and i + 4 < len(block):  # if_tsresol
                resolution = block[i + 4]
                parts = 2 ** (resolution & 127) if resolution & 128 else 10**resolution
            i += 4 + (size + 3) // 4 * 4
        return link_type, parts, most

    def _packet(self, order, kind, block, interfaces, at):
        try:
            if kind == _SIMPLE_PACKET:
                link_type, _, most = interfaces[0]
                size = struct.unpack_from(order + "I", block)[0]
                return link_type, None, block[4 : 4 + min(size, most or size)]
            number, high, low, size = struct.unpack_from(order + "IIII", block)
            link_type, parts, _ = interfaces[number]
        except (struct.error, IndexError):
            raise CaptureError(f"byte {at}: a packet block without an interface") from None
        return link_type, ((high << 32) | low) / parts, block[20 : 20 + size]

    def _unpack(self, form, i):
        if i + struct.calcsize(form) > len(self._data):
            raise CaptureError(f"byte {i}: the file ends within a header")
        return struct.unpack_from(form, self._data, i)

    def _take(self, i, size):
        if i + size > len(self._data):
            raise CaptureError(f"byte {i}: the file ends within a frame of {size} bytes")
        return self._data[i : i + size]

    def _udp(self, link_type, frame):
        """(source, target, payload) of a frame, or None when there is no whole UDP datagram."""
        if link_type == 1:  # Ethernet
            kind, i = _word(frame, 12), 14
            while kind in _VLANS:
                kind, i = _word(frame, i + 2), i + 4
        elif link_type == 113:  # Linux cooked
            kind, i = _word(frame, 14), 16
        elif link_type == 276:  # Linux cooked, version 2
            kind, i = _word(frame, 0), 20
        elif link_type in (0, 108):  # loopback: 4 bytes of address family, in either order
            kind, i = None, 4
        elif link_type in _RAW:
            kind, i = _RAW[link_type], 0
        else:
            raise CaptureError(f"frame {self.n_frames}: link type {link_type} is not read")
        packet = frame[i:]
        if kind is None:
            kind = {4: _IPV4, 6: _IPV6}.get(packet[0] >> 4)
        if kind == _IPV4:
            return self._ipv4(packet)
        return self._ipv6(packet) if kind == _IPV6 else None

    def _ipv4(self, packet):
        if packet[9] != _UDP:
            return None
        if _word(packet, 6) & 0x3FFF:  # more fragments, or an offset
            self.n_fragments += 1
            return None
        return _segment(packet[12:16], packet[16:20], packet[(packet[0] & 15) * 4 :])

    def _ipv6(self, packet):
        kind, i = packet[6], 40
        while kind in _IPV6_HEADERS:
            kind, i = packet[i], i + 8 + packet[i + 1] * 8
        if kind == 44:
            self.n_fragments += 1
            return None
        return _segment(packet[8:24], packet[24:40], packet[i:]) if kind == _UDP else None


def _segment(source, target, segment):
    source_port, target_port, size = struct.unpack_from(">HHH", segment)
    if not 8 <= size <= len(segment):
        return None
    hosts = str(ip_address(source)), str(ip_address(target))
    return (hosts[0], source_port), (hosts[1], target_port), bytes(segment[8:size])


def _word(data, i):
    return struct.unpack_from(">H", data, i)[0]
