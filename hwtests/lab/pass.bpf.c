// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Passes every frame: gives a veth's far end the XDP ring that XDP_TX of the near end needs.
 * No headers on purpose, so that it builds wherever clang does. 2 is XDP_PASS.
 */
__attribute__((section("xdp"), used)) int xdp_pass(void *ctx)
{
	return 2;
}
__attribute__((section("license"), used)) char _license[] = "Dual BSD/GPL";
