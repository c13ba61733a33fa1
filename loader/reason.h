/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Why something did not work, for people and for machines: a stable code, the stage it was found
 * at, errno, the kernel's own sentence, and what to do. Pure: it never calls the kernel.
 */
#ifndef SHUNT_REASON_H
#define SHUNT_REASON_H

#include <stdbool.h>

/* X(identifier, "stable-code", exit code, "what it means", "what to do") */
#define REASONS(X)                                                                                \
	X(NONE, "none", 0, "", "")                                                                \
	X(NO_NDO_BPF, "no-ndo-bpf", 3, "the driver has no XDP at all", "use the generic tier")    \
	X(NO_OFFLOAD_DEVICE, "no-offload-device", 3, "the device has no offload engine",          \
	  "only Netronome/Corigine nfp with the BPF firmware has one (and netdevsim, for tests)") \
	X(OFFLOAD_REFUSED, "offload-refused", 3,                                                  \
	  "the device has an offload engine and refuses to use it", "see dmesg")                  \
	X(MAP_LIMIT, "map-limit", 3, "the device is too small for the file",                      \
	  "fewer rows, VIPs, servers or ids in the file, or fewer maps of others on the card")    \
	X(MAP_TYPE, "map-type", 3, "the device does not take this type of map",                   \
	  "other firmware, or another tier")                                                      \
	X(MAP_FLAGS, "map-flags", 3, "the device does not take a map with flags",                 \
	  "report this with loader -v probe IFACE")                                               \
	X(MTU, "mtu", 3, "the MTU is too large for XDP",                                          \
	  "lower the MTU of the interface (and of its peer on veth)")                             \
	X(QUEUES, "queues", 3, "too few queues for XDP",                                          \
	  "ethtool -L IFACE combined N, or fewer CPUs")                                           \
	X(LRO, "lro", 3, "LRO is on, which native XDP does not go with",                          \
	  "ethtool -K IFACE lro off")                                                             \
	X(BUSY_FOREIGN_PROGRAM, "busy-foreign-program", 3, "another program is attached",         \
	  "detach it, or use --replace")                                                          \
	X(BUSY_OTHER_TIER, "busy-other-tier", 3, "another tier of shunt is attached here",        \
	  "loader detach IFACE first")                                                            \
	X(NO_NATIVE, "no-native", 3, "the driver does not support native XDP",                    \
	  "use the generic tier")                                                                 \
	X(KERNEL_TOO_OLD, "kernel-too-old", 5, "the kernel lacks what this needs",                \
	  "Linux 5.10 or newer")                                                                  \
	X(NO_PERMISSION, "no-permission", 4, "a capability is missing",                           \
	  "run as root, or with the capability named")                                            \
	X(NO_INTERFACE, "no-interface", 5, "there is no such interface",                          \
	  "ip link shows what there is")                                                          \
	X(NO_BPFFS, "no-bpffs", 5, "no BPF file system", "mount -t bpf bpf /sys/fs/bpf")          \
	X(DEVICE_GONE, "device-gone", 5, "the device went away", "")                              \
	X(ABI, "abi", 5, "what is attached was made by another version of shunt",                 \
	  "loader detach IFACE, then attach")                                                     \
	X(VERIFIER, "verifier", 3, "the kernel's verifier refuses the program",                   \
	  "report this with loader -v")                                                           \
	X(CAPACITY, "capacity", 1, "the maps that are attached are too small for the file",       \
	  "loader attach --reload IFACE makes them as large as the limits in the file say")       \
	X(CONFIG_IN_USE, "config-in-use", 1,                                                      \
	  "a CID config that packets still use would go or change",                               \
	  "leave it in the file as retiring until it is quiet (loader show configs), or --force") \
	X(NOT_ATTACHED, "not-attached", 7, "nothing is attached", "loader attach IFACE")          \
	X(CONFIG, "config", 6, "the configuration file is not valid", "")                         \
	X(USAGE, "usage", 2, "wrong usage", "loader help")                                        \
	X(BUSY_OTHER_MODE, "busy-other-mode", 3,                                                  \
	  "native and generic XDP cannot be on at the same time", "detach the other one first")   \
	X(BUSY_UPPER_DEVICE, "busy-upper-device", 3, "the interface belongs to one that has XDP", \
	  "attach to the upper interface (bond or team)")                                         \
	X(NO_SHARING, "no-sharing", 3,                                                            \
	  "the kernel lets no program that changes packets into libxdp's dispatcher",             \
	  "detach what is in the dispatcher, and attach alone")                                   \
	X(BUSY_LINK, "busy-link", 3, "a process holds the XDP hook by a BPF link",                \
	  "end it, or unpin its link (bpftool link)")                                             \
	X(RECEIVE_OFFLOADS, "receive-offloads", 3, "receive offloads of the device exclude XDP",  \
	  "ethtool -K IFACE gro-hw off rx off")                                                   \
	X(HELPER, "helper", 3, "the device lacks a helper that the program calls",                \
	  "other firmware, or another tier")                                                      \
	X(INSTRUCTION, "insn", 3, "the device refuses an instruction of the program",             \
	  "report this with loader -v probe IFACE")                                               \
	X(STACK, "stack", 3, "the program's stack is too large for the device", "")               \
	X(TOO_LONG, "too-long", 3, "the program is too long for the device", "")                  \
	X(PACKET_SPLIT, "packet-split", 3,                                                        \
	  "the program looks further into a packet than the device keeps of it",                  \
	  "lower the MTU of the interface")                                                       \
	X(UNTRIED, "untried", 0, "not known until tried", "loader --probe --trial IFACE")         \
	X(UNKNOWN, "unknown", 1, "failed", "")

enum reason_code {
#define X(id, code, status, text, hint) REASON_##id,
	REASONS(X)
#undef X
		REASON_COUNT,
};

struct reason {
	enum reason_code code;
	int error; /* positive errno, 0: none */
	const char *stage; /* static text: "interface", "map-create", "prog-load", "attach", ... */
	char what[160]; /* subject: interface, tier, map, path in the file; may be empty */
	char kernel[320]; /* the kernel's own sentence, one line; may be empty */
	char hint[200]; /* what to do; empty: the code's own */
};

/* "no-offload-device" and so on: stable, part of the JSON contract. */
const char *reason_code_name(enum reason_code code);
/* What it means, for people. */
const char *reason_text(enum reason_code code);
/* What to do: the reason's own words, or the code's. */
const char *reason_hint(const struct reason *reason);
/*
 * What the kernel says to it: its sentence, else its errno's name; "" where the reason is our own
 * finding or says all that the errno does.
 */
const char *reason_kernel(const struct reason *reason);
/* The exit status that goes with it (table in models: 1 to 8). */
int reason_exit(const struct reason *reason);
/* "EINVAL", "EPERM", ...; "" for 0. Static. */
const char *reason_errno_name(int error);

/* Fills reason; what is printf-style, may be NULL. Returns -error (or -EINVAL if error is 0). */
int reason_set(struct reason *reason, enum reason_code code, const char *stage, int error,
	       const char *what, ...) __attribute__((format(printf, 5, 6)));
/* Keeps the kernel's sentence: first line, no "libbpf: " prefix, no trailing newline. */
void reason_set_kernel(struct reason *reason, const char *sentence);
void reason_set_hint(struct reason *reason, const char *hint, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * Names what the kernel's errno and sentence mean for an XDP attach or load: MTU, queues, LRO, busy,
 * permission, ... Leaves UNKNOWN when it cannot tell.
 */
enum reason_code reason_classify(int error, const char *sentence);

#endif
