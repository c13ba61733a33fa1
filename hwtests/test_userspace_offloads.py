# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a sender on a virtual link leaves to a device: user space does it in the device's place."""

from __future__ import annotations

import socket

import pytest
from scapy.layers.inet import IP, UDP  # type: ignore[import]
from scapy.layers.inet6 import IPv6, in6_chksum  # type: ignore[import]
from scapy.layers.l2 import Ether  # type: ignore[import]
from scapy.utils import checksum  # type: ignore[import]

from hwtests.lab import Bed, Family, Loader, Wire
from hwtests.lab.bed import FAMILIES
from hwtests.running import PORT, Service
from hwtests.test_userspace import config_of, mark, payload

UDP_SEGMENT = 103


def datagram(frame: bytes, family: Family) -> tuple[bytes, bytes]:
    """Pseudo-header and datagram of the packet in a tunnel."""
    seen = Ether(frame)
    inner = seen[IP].payload if family == 4 else seen[IPv6].payload
    octets = bytes(inner)
    if family == 4:
        assert checksum(octets[:20]) == 0
        return octets[12:20] + b"\0\x11" + octets[24:26], octets[20:]
    return octets[8:40], octets[40:]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [0, 500], ids=["checksum", "segments"])
def test_left_to_the_device(bed: Bed, loader: Loader, family: Family, size: int) -> None:
    """A socket's datagrams, whose checksums and boundaries the link would have seen to."""
    bed.client.run(["ethtool", "-K", bed.client_interface, "tx", "on", "tx-udp-segmentation", "on"])
    marked = mark()
    data = payload(2, marked, 480 if not size else size)
    count = 4 if size else 1
    with Service(bed, loader, config=config_of(bed, "userspace", family=family)), \
            Wire(bed.servers[1].node, bed.servers[1].interface) as far, \
            bed.client.socket(socket.AF_INET if family == 4 else socket.AF_INET6,
                              socket.SOCK_DGRAM) as client:
        if size:
            client.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        client.sendto(data * count, (bed.vip(family), PORT))
        frames = far.receive(count, match=lambda frame: marked in frame)
        tier, = loader.json("stats", "lb0")["tiers"]
    assert len(frames) == count
    assert tier["stack"]["in"]["vips"]["www"]["packets"] == 1  # all in one piece until here
    for frame in frames:
        pseudo, udp = datagram(frame, family)
        assert UDP(udp).len == len(udp) == 8 + len(data) and udp[8:] == data
        if family == 4:
            assert checksum(pseudo + udp) == 0
        else:
            addresses = IPv6(src=socket.inet_ntop(socket.AF_INET6, pseudo[:16]),
                             dst=socket.inet_ntop(socket.AF_INET6, pseudo[16:]))
            assert in6_chksum(17, addresses, udp) in {0, 0xffff}
