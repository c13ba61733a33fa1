# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Prints bpf/tests/hash_vectors.h: what the hash must give, for the tests in C.

    python3 -m hwtests.oracle.vectors > bpf/tests/hash_vectors.h
"""

from __future__ import annotations

import random
import socket
import struct

from .five import hash_five, hash_tuple
from .lookup3 import hash_words

WORDS_MAX = 24

_HEAD = """\
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the hashes give for these words, by hwtests/oracle/lookup3.py and five.py (make it anew with
 * python3 -m hwtests.oracle.vectors). Words are little-endian as the octets lie in memory.
 */
#ifndef LB_TESTS_HASH_VECTORS_H
#define LB_TESTS_HASH_VECTORS_H

#include <linux/types.h>

/* clang-format off */

struct hash_vector {
	__u32 n, seed, first, second;
	__u32 words[24];
};

struct five_vector {
	__u32 words[5], first, second;
};

/* A packet's 4-tuple in text, and the hash that picks its row. */
struct tuple_vector {
	int version;
	const char *source, *destination;
	__u16 source_port, destination_port;
	__u32 hash;
};
"""

_TUPLES = [
    (4, "192.0.2.1", "203.0.113.80", 4000, 443),
    (4, "192.0.2.1", "203.0.113.80", 4001, 443),
    (4, "255.255.255.255", "0.0.0.0", 65535, 1),
    (6, "2001:db8::1", "2001:db8:80::80", 4000, 443),
    (6, "2001:db8::2", "2001:db8:80::80", 4000, 443),
    (6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::", 0, 65535),
]


def header() -> str:
    """The whole file."""
    rng = random.Random(20)
    lines = [_HEAD, "static const struct hash_vector hash_vectors[] = {"]
    for n in range(1, WORDS_MAX + 1):
        for seed in (0, rng.getrandbits(32)):
            words = [rng.getrandbits(32) for _ in range(n)]
            first, second = hash_words(words, seed)
            lines.append(f"\t{{ {n}, {seed:#010x}, {first:#010x}, {second:#010x},")
            rows = [words[i:i + 7] for i in range(0, n, 7)]
            text = ",\n\t    ".join(", ".join(f"{w:#010x}" for w in row) for row in rows)
            lines.append(f"\t  {{ {text} }} }},")
    lines += ["};", "", "static const struct five_vector five_vectors[] = {"]
    for _ in range(16):
        words = [rng.getrandbits(32) for _ in range(5)]
        first, second = hash_five(struct.pack("<5I", *words))
        lines.append(f"\t{{ {{ {', '.join(f'{w:#010x}' for w in words)} }}, {first:#010x}, "
                     f"{second:#010x} }},")
    lines += ["};", "", "static const struct tuple_vector tuple_vectors[] = {"]
    for version, source, destination, sport, dport in _TUPLES:
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        parts = (socket.inet_pton(family, source), socket.inet_pton(family, destination),
                 struct.pack(">HH", sport, dport))
        lines.append(f"\t{{ {version}, \"{source}\", \"{destination}\", {sport}, {dport}, "
                     f"{hash_tuple(*parts):#010x} }},")
    return "\n".join([*lines, "};", "", "#endif", ""])


if __name__ == "__main__":
    print(header(), end="")
