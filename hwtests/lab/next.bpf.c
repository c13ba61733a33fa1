// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A TC program of somebody else: leaves every packet to whoever is next (TC_ACT_UNSPEC).
 */
__attribute__((section("tc"), used)) int tc_next(void *ctx)
{
	return -1;
}
__attribute__((section("license"), used)) char _license[] = "Dual BSD/GPL";
