// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a test may see and move from outside, in debugfs: `state` tells what the card holds, and a
 * line written to `count` adds to a counter as packets on the card would.
 */
#include <linux/debugfs.h>
#include <linux/rtnetlink.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "card.h"

static int state_show(struct seq_file *seq, void *unused)
{
	struct card *card = seq->private;
	struct nfp_app_bpf *bpf = card->app.priv;
	unsigned int i;

	rtnl_lock();
	seq_printf(seq, "maps %u of %u\n", bpf->maps_in_use, bpf->maps.max_maps);
	seq_printf(seq, "entries %u of %u\n", bpf->map_elems_in_use, bpf->maps.max_elems);
	for (i = 0; i < card->n_ports; i++) {
		struct port *port = card->ports[i];
		bool running = port->nn.dp.ctrl & NFP_NET_CFG_CTRL_BPF;

		seq_printf(seq, "%s running %u words %u loads %u starts %u stops %u\n",
			   port->nn.dp.netdev->name, running,
			   running ? nn_readw(&port->nn, NFP_NET_CFG_BPF_SIZE) : 0, port->loads,
			   port->starts, port->stops);
	}
	rtnl_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(state);

static struct nfp_bpf_map *map_by_id(struct card *card, u32 id)
{
	struct nfp_app_bpf *bpf = card->app.priv;
	struct nfp_bpf_map *map;

	list_for_each_entry(map, &bpf->map_list, l)
		if (map->offmap->map.id == id)
			return map;
	return NULL;
}

/* The card's atomic engine keeps each word big-endian, and the low word of a pair first. */
static void add(__be32 *word, unsigned int size, u64 n)
{
	u64 sum = be32_to_cpu(word[0]) + (size == 8 ? (u64)be32_to_cpu(word[1]) << 32 : 0) + n;

	word[0] = cpu_to_be32(lower_32_bits(sum));
	if (size == 8)
		word[1] = cpu_to_be32(upper_32_bits(sum));
}

static bool is_counter(const struct nfp_bpf_map *map, u32 offset, u32 size)
{
	u32 i;

	if (offset % 4 || (size != 4 && size != 8) || offset > map->offmap->map.value_size ||
	    size > map->offmap->map.value_size - offset)
		return false;
	for (i = offset / 4; i < (offset + size) / 4; i++)
		if (map->use_map[i].type != NFP_MAP_USE_ATOMIC_CNT)
			return false;
	return true;
}

static int count(struct card *card, u32 id, const char *hex, u32 offset, u32 size, u64 n)
{
	struct nfp_bpf_map *map = map_by_id(card, id);
	u8 key[CMSG_MAP_KEY_LW * 4];
	struct table *table;
	u8 *value;

	if (!map)
		return -ENODEV;
	if (strlen(hex) != 2 * map->offmap->map.key_size ||
	    hex2bin(key, hex, map->offmap->map.key_size) || !is_counter(map, offset, size))
		return -EINVAL;
	table = firmware_table(card, map->tid);
	value = table ? table_value(table, key) : NULL;
	if (!value)
		return -ENOENT;
	add((__be32 *)(value + offset), size, n);
	return 0;
}

/* MAP-ID KEY-IN-HEX OFFSET SIZE N: adds N to the counter of SIZE bytes at OFFSET in the value. */
static ssize_t count_write(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	char line[256], hex[2 * CMSG_MAP_KEY_LW * 4 + 1];
	struct card *card = file->private_data;
	u32 id, offset, size;
	u64 n;
	int err;

	if (len >= sizeof(line))
		return -E2BIG;
	if (copy_from_user(line, from, len))
		return -EFAULT;
	line[len] = 0;
	if (sscanf(line, "%u %128s %u %u %llu", &id, hex, &offset, &size, &n) != 5)
		return -EINVAL;
	rtnl_lock();
	mutex_lock(&card->tables_lock);
	err = count(card, id, hex, offset, size, n);
	mutex_unlock(&card->tables_lock);
	rtnl_unlock();
	return err ?: len;
}

static const struct file_operations count_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = count_write,
};

void debug_create(struct card *card)
{
	card->debugfs = debugfs_create_dir("shunt_nfp", NULL);
	debugfs_create_file("state", 0400, card->debugfs, card, &state_fops);
	debugfs_create_file("count", 0200, card->debugfs, card, &count_fops);
}

void debug_destroy(struct card *card)
{
	debugfs_remove(card->debugfs);
}
