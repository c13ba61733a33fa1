/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The harness as it was compiled, and by what. */
	.section .rodata
	.balign 16
	.global bench_object
bench_object:
	.incbin "harness.bpf.o"
	.global bench_object_end
bench_object_end:
	.global bench_compiler
bench_compiler:
	.asciz BENCH_COMPILER
	.section .note.GNU-stack, "", @progbits
