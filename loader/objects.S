/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The BPF objects as they were compiled, so that there is nothing to install beside the loader. */
	.section .rodata
.macro object name
	.balign 16
	.global object_\name
object_\name:
	.incbin "\name\().bpf.o"
	.global object_\name\()_end
object_\name\()_end:
.endm
	object offload
	object driver
	object generic
	object ingress
	object egress
	object decap
	.section .note.GNU-stack, "", @progbits
