/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The next packet of a connection, filled with what HTTP has to send. */
#ifndef HWTESTS_QUIC_PACKET_H
#define HWTESTS_QUIC_PACKET_H

#include <nghttp3/nghttp3.h>
#include <ngtcp2/ngtcp2.h>

/*
 * http NULL: there is no HTTP yet. The packet's length, 0 if there is nothing to send, or an error
 * of libngtcp2; app_error is set when HTTP was the reason.
 */
ngtcp2_ssize packet_write(ngtcp2_conn *quic, nghttp3_conn *http, ngtcp2_path_storage *ps,
			  ngtcp2_pkt_info *pi, uint8_t *buf, size_t size, uint64_t ts,
			  uint64_t *app_error);

#endif
