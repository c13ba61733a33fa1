// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The firmware: answers the driver's control messages about maps on a worker, later than they were
 * sent as a card does, and takes what the driver writes into the control BAR.
 *
 * Fields are those of BPF ABI 2: 64 bytes for a key and 64 for a value, whatever the map's are.
 */
#include <linux/dma-mapping.h>

#include "card.h"

#define KEY_BYTES   (CMSG_MAP_KEY_LW * 4)
#define VALUE_BYTES (CMSG_MAP_VALUE_LW * 4)
#define ENTRY_BYTES (KEY_BYTES + VALUE_BYTES)

struct table *firmware_table(struct card *card, u32 tid)
{
	struct table *table;

	list_for_each_entry(table, &card->tables, list)
		if (table->tid == tid)
			return table;
	return NULL;
}

static struct sk_buff *new_reply(const struct nfp_ccm_hdr *request, size_t len,
				 enum nfp_bpf_cmsg_status rc)
{
	struct cmsg_reply_map_simple *reply;
	struct sk_buff *skb = alloc_skb(len, GFP_KERNEL);

	if (!skb)
		return NULL;
	reply = skb_put_zero(skb, len);
	reply->hdr = *request;
	reply->hdr.type = __NFP_CCM_REPLY(request->type);
	reply->rc = cpu_to_be32(rc);
	return skb;
}

static struct sk_buff *answer_alloc(struct card *card, const struct cmsg_req_map_alloc_tbl *req)
{
	struct cmsg_reply_map_alloc_tbl *reply;
	struct table *table;
	struct sk_buff *skb;

	table = table_new(be32_to_cpu(req->map_type), be32_to_cpu(req->key_size),
			  be32_to_cpu(req->value_size), be32_to_cpu(req->max_entries));
	skb = new_reply(&req->hdr, sizeof(*reply), table ? CMSG_RC_SUCCESS : CMSG_RC_ERR_MAP_NOMEM);
	if (!skb || !table) {
		if (table)
			table_free(table);
		return skb;
	}
	table->tid = ++card->last_tid;
	list_add_tail(&table->list, &card->tables);
	reply = (void *)skb->data;
	reply->tid = cpu_to_be32(table->tid);
	return skb;
}

static struct sk_buff *answer_free(struct card *card, const struct cmsg_req_map_free_tbl *req)
{
	struct table *table = firmware_table(card, be32_to_cpu(req->tid));
	struct cmsg_reply_map_free_tbl *reply;
	struct sk_buff *skb;

	skb = new_reply(&req->hdr, sizeof(*reply), table ? CMSG_RC_SUCCESS : CMSG_RC_ERR_MAP_FD);
	if (!skb || !table)
		return skb;
	reply = (void *)skb->data;
	reply->count = cpu_to_be32(table->n_entries);
	list_del(&table->list);
	table_free(table);
	return skb;
}

/* Fills one entry of a reply: the key, and the value it has now. */
static enum nfp_bpf_cmsg_status walk_one(struct table *table, const u8 *key, u8 *entry)
{
	enum nfp_bpf_cmsg_status rc = table_next(table, key, entry);

	if (rc == CMSG_RC_SUCCESS)
		memcpy(entry + KEY_BYTES, table_value(table, entry), table->value_size);
	return rc;
}

static enum nfp_bpf_cmsg_status lookup(struct table *table, const u8 *key, u8 *entry)
{
	const u8 *value = table_value(table, key);

	if (!value)
		return CMSG_RC_ERR_MAP_NOENT;
	memcpy(entry, key, table->key_size);
	memcpy(entry + KEY_BYTES, value, table->value_size);
	return CMSG_RC_SUCCESS;
}

static enum nfp_bpf_cmsg_status run_op(struct table *table, const struct cmsg_req_map_op *req,
				       u32 index, u8 *entry)
{
	const u8 *key = index ? entry - ENTRY_BYTES : req->data;

	switch (req->hdr.type) {
	case NFP_CCM_TYPE_BPF_MAP_LOOKUP:
		return lookup(table, key, entry);
	case NFP_CCM_TYPE_BPF_MAP_UPDATE:
		return table_update(table, key, req->data + KEY_BYTES, be32_to_cpu(req->flags));
	case NFP_CCM_TYPE_BPF_MAP_DELETE:
		return table_delete(table, key);
	case NFP_CCM_TYPE_BPF_MAP_GETFIRST:
		return walk_one(table, index ? key : NULL, entry);
	case NFP_CCM_TYPE_BPF_MAP_GETNEXT:
		return walk_one(table, key, entry);
	default:
		return CMSG_RC_ERR_MAP_PARSE;
	}
}

/* A reply holds the entries that went well and, after them, one more if an error ended the row. */
static struct sk_buff *answer_op(struct card *card, const struct cmsg_req_map_op *req)
{
	struct table *table = firmware_table(card, be32_to_cpu(req->tid));
	u32 wanted = min_t(u32, be32_to_cpu(req->count), NFP_BPF_MAP_CACHE_CNT);
	enum nfp_bpf_cmsg_status rc = CMSG_RC_SUCCESS;
	struct cmsg_reply_map_op *reply;
	struct sk_buff *skb;
	u32 done = 0;

	skb = new_reply(&req->hdr, sizeof(*reply) + wanted * ENTRY_BYTES, CMSG_RC_ERR_MAP_FD);
	if (!skb || !table)
		return skb;
	reply = (void *)skb->data;
	for (; done < wanted; done++) {
		rc = run_op(table, req, done, reply->data + done * ENTRY_BYTES);
		if (rc != CMSG_RC_SUCCESS)
			break;
	}
	reply->reply_hdr.rc = cpu_to_be32(rc);
	reply->count = cpu_to_be32(done);
	skb_trim(skb, sizeof(*reply) + (done + !!rc) * ENTRY_BYTES);
	return skb;
}

static struct sk_buff *answer(struct card *card, const struct sk_buff *request)
{
	const struct nfp_ccm_hdr *hdr = (void *)request->data;

	switch (hdr->type) {
	case NFP_CCM_TYPE_BPF_MAP_ALLOC:
		return answer_alloc(card, (void *)hdr);
	case NFP_CCM_TYPE_BPF_MAP_FREE:
		return answer_free(card, (void *)hdr);
	default:
		return answer_op(card, (void *)hdr);
	}
}

static void work(struct work_struct *work)
{
	struct card *card = container_of(work, struct card, fw_work);
	struct sk_buff *request, *reply;

	while ((request = skb_dequeue(&card->ctrl->r_vecs[0].queue))) {
		reply = NULL;
		mutex_lock(&card->tables_lock);
		if (!limits_mute())
			reply = answer(card, request);
		mutex_unlock(&card->tables_lock);
		consume_skb(request);
		if (reply)
			nfp_app_ctrl_rx(&card->app, reply);
	}
}

/* The driver sends a control message; it holds the control channel's lock. */
bool __nfp_ctrl_tx(struct nfp_net *nn, struct sk_buff *skb)
{
	skb_queue_tail(&nn->r_vecs[0].queue, skb);
	schedule_work(&card_of(nn->app)->fw_work);
	return false;
}

/* The driver asks the firmware to take note of what it wrote into the control BAR. */
int nfp_net_reconfig(struct nfp_net *nn, u32 update)
{
	struct port *port = container_of(nn, struct port, nn);

	if (limits_refuse_reconfig())
		return -EIO;
	if (update & NFP_NET_CFG_UPDATE_BPF)
		port->loads++;
	if (update & NFP_NET_CFG_UPDATE_GEN) {
		if (nn_readl(nn, NFP_NET_CFG_CTRL) & NFP_NET_CFG_CTRL_BPF)
			port->starts++;
		else
			port->stops++;
	}
	return 0;
}

void firmware_init(struct card *card)
{
	mutex_init(&card->tables_lock);
	INIT_LIST_HEAD(&card->tables);
	INIT_WORK(&card->fw_work, work);
}

void firmware_clean(struct card *card)
{
	struct table *table, *next;

	cancel_work_sync(&card->fw_work);
	skb_queue_purge(&card->ctrl->r_vecs[0].queue);
	list_for_each_entry_safe(table, next, &card->tables, list)
		table_free(table);
}
