/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The bench's own programs as they were compiled, and by what. */
	.section .rodata
	.balign 16
	.global bench_object
bench_object:
	.incbin "harness.bpf.o"
	.global bench_object_end
bench_object_end:
	.balign 16
	.global bench_ends
bench_ends:
	.incbin "veth/ends.bpf.o"
	.global bench_ends_end
bench_ends_end:
	.global bench_compiler
bench_compiler:
	.asciz BENCH_COMPILER
	.section .note.GNU-stack, "", @progbits
