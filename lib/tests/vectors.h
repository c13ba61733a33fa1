/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The connection IDs that the draft prints (appendix B), its misprints put right. */
#ifndef SHUNT_CID_VECTORS_H
#define SHUNT_CID_VECTORS_H

#include <stdbool.h>

static const struct {
	unsigned int config_id;
	bool described;
	const char *key, *server_id, *nonce, *cid;
} vectors[] = {
	{ 0, true, "", "c4605e", "4504cc4f", "07c4605e4504cc4f" },
	{ 1, true, "", "350d28b420", "03487d970b", "2a350d28b42003487d970b" },
	{ 0, true, "8f95f09245765f80256934e50c66207f", "ed793a", "ee080dbf", "0720b1d07b359d3c" },
	{ 1, true, "8f95f09245765f80256934e50c66207f", "ed793a51d49b8f5fab65", "ee080dbf48",
	  "2fcc381bc74cb4fbad2823a3d1f8fed2" },
	{ 2, true, "8f95f09245765f80256934e50c66207f", "ed793a51d49b8f5f", "ee080dbf48c0d1e5",
	  "504dd2d05a7b0de9b2b9907afb5ecf8cc3" },
	{ 0, true, "8f95f09245765f80256934e50c66207f", "ed793a51d49b8f5fab", "ee080dbf48c0d1e55d",
	  "125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc" },
	{ 3, true, "8f95f09245765f80256934e50c66207f", "ed793a51d49b8f5fab", "ee080dbf48c0d1e55d",
	  "725779c9cc86beb3a3a4a3ca96fce4bfe0cdbc" },
	{ 0, true, "fdf726a9893ec05c0632d3956680baf0", "31441a", "9c69c275", "0767947d29be054a" },
};

#endif
