/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the parts of the stand-in card share: the card, its ports, and who answers for what.
 *
 * The nfp driver's BPF code is linked above this unmodified. It believes it talks to a card; all
 * that is below its calls is here. No packet is ever run through a program put on this card.
 */
#ifndef SHUNT_NFP_CARD_H
#define SHUNT_NFP_CARD_H

#include <linux/bpf.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/workqueue.h>

#include "nfpcore/nfp_cpp.h"
#include "nfpcore/nfp_nffw.h"
#include "nfpcore/nfp_nsp.h"
#include "nfp_app.h"
#include "nfp_main.h"
#include "nfp_net.h"
#include "nfp_port.h"
#include "bpf/fw.h"
#include "bpf/main.h"

#define CARD_MAX_PORTS 2
#define CARD_BAR_LEN   0x1000 /* the driver's BPF code touches the first 256 bytes */

/* The driver knows these two by pointer only: they are the stand-in's to define. */
struct nfp_cpp {
	struct device dev; /* only its parent is read, for messages */
};

struct nfp_cpp_area {
	size_t size;
	u8 bytes[];
};

/* nfp_net comes first: the driver takes netdev_priv() for one. */
struct port {
	struct nfp_net nn;
	struct nfp_port phys;
	struct port *far_end;
	struct sk_buff_head wire;
	u8 bar[CARD_BAR_LEN];
	u32 loads;
	u32 starts;
	u32 stops;
};

/* nfp_pf comes first: the driver asks devlink for the instance whose private area it is. */
struct card {
	struct nfp_pf pf;
	struct pci_dev pdev; /* its name only, in messages */
	struct nfp_cpp cpp;
	struct nfp_app app;
	struct nfp_net *ctrl;
	struct work_struct fw_work;
	struct mutex tables_lock; /* tables and what they hold: the worker's, and debugfs' */
	struct list_head tables;
	u32 last_tid;
	struct dentry *debugfs;
	unsigned int n_ports;
	struct port *ports[CARD_MAX_PORTS];
};

static inline struct card *card_of(struct nfp_app *app)
{
	return container_of(app->pf, struct card, pf);
}

/* limits.c: the module's parameters, as a control BAR and as a list of capabilities. */
unsigned int limits_ports(void);
bool limits_mute(void);
bool limits_refuse_reconfig(void);
void limits_fill_bar(struct nfp_net *nn);
struct nfp_cpp_area *limits_capabilities(void);

/* table.c: the storage of one map on the card. */
struct table {
	struct list_head list;
	u32 tid;
	u32 type;
	u32 key_size;
	u32 value_size;
	u32 max_entries;
	u32 n_entries;
	u32 n_buckets;
	u8 *array;
	struct hlist_head *buckets;
};

struct table *table_new(u32 type, u32 key_size, u32 value_size, u32 max_entries);
void table_free(struct table *table);
u8 *table_value(struct table *table, const u8 *key);
enum nfp_bpf_cmsg_status table_update(struct table *table, const u8 *key, const u8 *value,
				      u32 flags);
enum nfp_bpf_cmsg_status table_delete(struct table *table, const u8 *key);
enum nfp_bpf_cmsg_status table_next(struct table *table, const u8 *key, u8 *next);

/* firmware.c: answers control messages and reconfiguration. */
void firmware_init(struct card *card);
void firmware_clean(struct card *card);
struct table *firmware_table(struct card *card, u32 tid);

/* port.c: the network devices. */
struct port *port_create(struct card *card, unsigned int id);
void port_destroy(struct port *port);

/* debug.c: counters moved from outside, and what the card holds. */
void debug_create(struct card *card);
void debug_destroy(struct card *card);

#endif
