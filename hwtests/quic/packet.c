/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fills packets with streams, for server and client alike. */
#include "packet.h"

enum {
	VECTORS = 16,
};

ngtcp2_ssize packet_write(ngtcp2_conn *quic, nghttp3_conn *http, ngtcp2_path_storage *ps,
			  ngtcp2_pkt_info *pi, uint8_t *buf, size_t size, uint64_t ts,
			  uint64_t *app_error)
{
	for (;;) {
		nghttp3_vec vec[VECTORS];
		int64_t stream = -1;
		int fin = 0;
		nghttp3_ssize nvec = 0;
		ngtcp2_ssize taken = -1, n;
		uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE;

		if (http && ngtcp2_conn_get_max_data_left(quic)) {
			nvec = nghttp3_conn_writev_stream(http, &stream, &fin, vec, VECTORS);
			if (nvec < 0) {
				*app_error = nghttp3_err_infer_quic_app_error_code((int)nvec);
				return NGTCP2_ERR_CALLBACK_FAILURE;
			}
		}
		if (fin)
			flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
		n = ngtcp2_conn_writev_stream(quic, &ps->path, pi, buf, size, &taken, flags, stream,
					      (const ngtcp2_vec *)vec, (size_t)nvec, ts);
		if (taken >= 0 && http && stream >= 0 &&
		    nghttp3_conn_add_write_offset(http, stream, (size_t)taken))
			return NGTCP2_ERR_CALLBACK_FAILURE;
		switch (n) {
		case NGTCP2_ERR_WRITE_MORE:
			continue;
		case NGTCP2_ERR_STREAM_DATA_BLOCKED:
			nghttp3_conn_block_stream(http, stream);
			continue;
		case NGTCP2_ERR_STREAM_SHUT_WR:
		case NGTCP2_ERR_STREAM_NOT_FOUND:
			nghttp3_conn_shutdown_stream_write(http, stream);
			continue;
		default:
			return n;
		}
	}
}
