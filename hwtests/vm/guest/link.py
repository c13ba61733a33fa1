# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A veth pair with programs of others on it, and packets that tell which of them were asked."""

from __future__ import annotations

import re
import select
import socket
import struct
from pathlib import Path

from hwtests.vm.guest.rig import BUILD, SERVER, SERVER_MAC, bpftool, in_bpf, ip, run

NEAR, FAR = "x0", "x1"
MODES = {"driver": "native", "generic": "skb"}
VIP, PORT = "203.0.113.80", 4433


class Link:
    """Frames go in at the far end; what is sent back comes out there."""

    def __init__(self, tier: str) -> None:
        self.mode = MODES[tier]
        # No packets but those of the test.
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        ip(f"link add {NEAR} address 02:00:00:00:00:01 type veth peer name {FAR}",
           f"link set {NEAR} up", f"link set {FAR} up", f"address add 10.1.0.1/24 dev {NEAR}",
           f"neighbour add {SERVER} lladdr {SERVER_MAC} dev {NEAR}",
           # What XDP_TX of one end needs at the other.
           f"link set {FAR} xdpdrv obj {BUILD}/bpf/pass.bpf.o sec xdp")
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.wire.bind((FAR, 0))

    def load(self, name: str) -> None:
        """Somebody else's program, by somebody else's loader."""
        run("xdp-loader", "load", "-m", self.mode, NEAR, BUILD / f"vm/bpf/{name}.bpf.o")

    def unload(self, name: str) -> None:
        """And off again."""
        run("xdp-loader", "unload", NEAR, "--id", str(self.chain()[name]))

    def chain(self) -> dict[str, int]:
        """Name to id of the programs on the near end, in the order in which they run."""
        lines = run("xdp-loader", "status", NEAR).stdout
        found = re.findall(r"^ => +\d+ +(\S+) +(\d+) ", lines, re.MULTILINE)
        assert len(dict(found)) == len(found), f"one of them is there twice: {found}"
        return {name: int(number) for name, number in found}

    def shares(self) -> bool:
        """Whether programs like ours may be in the dispatcher at all."""
        done = run("xdp-loader", "load", "-m", self.mode, NEAR, BUILD / "vm/bpf/moves.bpf.o",
                   check=False)
        run("xdp-loader", "unload", NEAR, "--all", check=False)
        return done.returncode == 0

    def attached(self) -> str:
        """The program in the hook itself."""
        (entry,) = [entry for entry in bpftool("net show")[0][0]["xdp"]
                    if entry["devname"] == NEAR]
        return dict(in_bpf("prog"))[entry["id"]]

    def routed(self, mark: bytes) -> bool:
        """Whether a packet of a connection comes back with the server's address on it, and not up
        to the host's stack. One of the two is waited for."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as near:
            near.bind((NEAR, 0))
            self.wire.send(frame(PORT, bytes([0x40, 1, 2, 3, 4]) + bytes(6) + mark))
            while True:
                ready, _, _ = select.select([near, self.wire], [], [], 10)
                assert ready, "it came out nowhere"
                got, address = ready[0].recvfrom(2048)
                if mark not in got or address[2] == socket.PACKET_OUTGOING:
                    continue
                if ready[0] is near:
                    return False
                assert got[:6] == bytes.fromhex(SERVER_MAC.replace(":", ""))
                return True

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        run("xdp-loader", "unload", NEAR, "--all", check=False)
        self.wire.close()
        ip(f"link delete {NEAR}")


def frame(port: int, payload: bytes) -> bytes:
    """Ethernet, IPv4 and UDP to the VIP. The sum of the header is right, UDP has none."""
    udp = struct.pack("!HHHH", 5000, port, 8 + len(payload), 0) + payload
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                         socket.inet_aton("10.1.0.77"), socket.inet_aton(VIP))
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xffff) + (total >> 16)
    checksum = struct.pack("!H", ~(total + (total >> 16)) & 0xffff)
    return (bytes.fromhex("020000000001" "0200000000aa" "0800") + header[:10] + checksum
            + header[12:] + udp)


def seen(program: int) -> int:
    """How many packets somebody else's program was asked about."""
    (shown,) = bpftool(f"prog show id {program}")
    (entry,) = bpftool(f"map dump id {shown['map_ids'][0]}")[0]
    return int(entry["formatted"]["value"])
