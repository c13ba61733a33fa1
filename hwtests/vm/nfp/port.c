// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The card's network devices: what is sent on a port arrives at the port at the far end of its
 * cable, which is the same port when the card has one. Native XDP runs on what arrives, on the host
 * as it would with the real driver; a program on the card sees no packet.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/filter.h>

#include "card.h"

#define WIRE_LEN 1024 /* frames under way; more are dropped, as a full receive ring would */

static struct port *port_of(const struct net_device *dev)
{
	return container_of((struct nfp_net *)netdev_priv(dev), struct port, nn);
}

static netdev_tx_t port_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct port *far_end = READ_ONCE(port_of(dev)->far_end);
	unsigned int len = skb->len;

	if (!far_end || skb_queue_len(&far_end->wire) >= WIRE_LEN) {
		dev_kfree_skb_any(skb);
		dev->stats.tx_dropped++;
		return NETDEV_TX_OK;
	}
	skb_tx_timestamp(skb);
	if (__dev_forward_skb(far_end->nn.dp.netdev, skb) != NET_RX_SUCCESS) {
		dev->stats.tx_dropped++;
		return NETDEV_TX_OK;
	}
	dev_sw_netstats_tx_add(dev, 1, len);
	skb_queue_tail(&far_end->wire, skb);
	napi_schedule(&far_end->nn.r_vecs[0].napi);
	return NETDEV_TX_OK;
}

static void port_receive(struct port *port, struct sk_buff *skb)
{
	struct bpf_prog *prog = READ_ONCE(port->nn.dp.xdp_prog);

	dev_sw_netstats_rx_add(port->nn.dp.netdev, skb->len + ETH_HLEN);
	if (!prog || do_xdp_generic(prog, skb) == XDP_PASS)
		netif_receive_skb(skb);
}

static int port_poll(struct napi_struct *napi, int budget)
{
	struct port *port = container_of(napi, struct port, nn.r_vecs[0].napi);
	struct sk_buff *skb;
	int done;

	for (done = 0; done < budget; done++) {
		skb = skb_dequeue(&port->wire);
		if (!skb)
			break;
		port_receive(port, skb);
	}
	/* A frame that came after the last look finds the poll complete or is seen here. */
	if (done < budget && napi_complete_done(napi, done) && !skb_queue_empty(&port->wire))
		napi_schedule(napi);
	return done;
}

static int port_open(struct net_device *dev)
{
	napi_enable(&port_of(dev)->nn.r_vecs[0].napi);
	netif_carrier_on(dev);
	netif_start_queue(dev);
	return 0;
}

static int port_stop(struct net_device *dev)
{
	netif_stop_queue(dev);
	netif_carrier_off(dev);
	napi_disable(&port_of(dev)->nn.r_vecs[0].napi);
	skb_queue_purge(&port_of(dev)->wire);
	return 0;
}

static int port_init(struct net_device *dev)
{
	struct nfp_app *app = port_of(dev)->nn.app;

	return app->type->ndo_init(app, dev);
}

static void port_uninit(struct net_device *dev)
{
	struct nfp_app *app = port_of(dev)->nn.app;

	app->type->ndo_uninit(app, dev);
}

static int port_change_mtu(struct net_device *dev, int mtu)
{
	int err = nfp_app_check_mtu(port_of(dev)->nn.app, dev, mtu);

	if (!err)
		dev->mtu = mtu;
	return err;
}

static int port_setup_tc(struct net_device *dev, enum tc_setup_type type, void *type_data)
{
	return nfp_app_setup_tc(port_of(dev)->nn.app, dev, type, type_data);
}

/* Native, on the card, and everything else in the order in which the driver tells them apart. */
static int port_bpf(struct net_device *dev, struct netdev_bpf *bpf)
{
	struct nfp_net *nn = netdev_priv(dev);
	int err;

	switch (bpf->command) {
	case XDP_SETUP_PROG:
		WRITE_ONCE(nn->dp.xdp_prog, bpf->prog);
		xdp_attachment_setup(&nn->xdp, bpf);
		return 0;
	case XDP_SETUP_PROG_HW:
		err = nfp_app_xdp_offload(nn->app, nn, bpf->prog, bpf->extack);
		if (!err)
			xdp_attachment_setup(&nn->xdp_hw, bpf);
		return err;
	default:
		return nfp_app_bpf(nn->app, nn, bpf);
	}
}

static const struct net_device_ops port_ops = {
	.ndo_init = port_init,
	.ndo_uninit = port_uninit,
	.ndo_open = port_open,
	.ndo_stop = port_stop,
	.ndo_start_xmit = port_xmit,
	.ndo_get_stats64 = dev_get_tstats64,
	.ndo_change_mtu = port_change_mtu,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_setup_tc = port_setup_tc,
	.ndo_bpf = port_bpf,
};

static void port_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "nfp", sizeof(info->driver));
	strscpy(info->version, "stand-in", sizeof(info->version));
	strscpy(info->fw_version, "stand-in 2.0.6.124 ebpf", sizeof(info->fw_version));
	strscpy(info->bus_info, dev_name(dev->dev.parent), sizeof(info->bus_info));
}

static const struct ethtool_ops port_ethtool_ops = {
	.get_drvinfo = port_drvinfo,
	.get_link = ethtool_op_get_link,
};

static void port_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->netdev_ops = &port_ops;
	dev->ethtool_ops = &port_ethtool_ops;
	dev->max_mtu = ETH_MAX_MTU;
	dev->hw_features = NETIF_F_HW_TC;
	dev->features = NETIF_F_HW_TC | NETIF_F_LLTX;
	eth_hw_addr_random(dev);
}

/* The driver's vNIC set-up calls this for what is the same with every firmware. */
int nfp_app_nic_vnic_alloc(struct nfp_app *app, struct nfp_net *nn, unsigned int id)
{
	struct port *port = container_of(nn, struct port, nn);

	port->phys.type = NFP_PORT_PHYS_PORT;
	port->phys.netdev = nn->dp.netdev;
	port->phys.app = app;
	port->phys.eth_id = id;
	nn->port = &port->phys;
	return 0;
}

struct port *port_create(struct card *card, unsigned int id)
{
	struct net_device *dev =
		alloc_netdev(sizeof(struct port), "nfp%d", NET_NAME_ENUM, port_setup);
	struct port *port;
	int err;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	port = port_of(dev);
	SET_NETDEV_DEV(dev, card->cpp.dev.parent);
	dev->dev_port = id;
	dev->tstats = netdev_alloc_pcpu_stats(struct pcpu_sw_netstats);
	skb_queue_head_init(&port->wire);
	port->nn.id = id;
	port->nn.cap = NFP_NET_CFG_CTRL_BPF;
	port->nn.app = &card->app;
	port->nn.dp.dev = card->cpp.dev.parent;
	port->nn.dp.netdev = dev;
	port->nn.dp.ctrl_bar = (u8 __iomem *)port->bar;
	limits_fill_bar(&port->nn);
	err = dev->tstats ? nfp_app_vnic_alloc(&card->app, &port->nn, id) : -ENOMEM;
	if (err)
		goto err_free;
	netif_napi_add(dev, &port->nn.r_vecs[0].napi, port_poll);
	netif_carrier_off(dev);
	err = register_netdev(dev);
	if (err)
		goto err_vnic;
	return port;

err_vnic:
	nfp_app_vnic_free(&card->app, &port->nn);
err_free:
	free_percpu(dev->tstats);
	free_netdev(dev);
	return ERR_PTR(err);
}

void port_destroy(struct port *port)
{
	struct net_device *dev = port->nn.dp.netdev;

	unregister_netdev(dev);
	nfp_app_vnic_free(port->nn.app, &port->nn);
	free_percpu(dev->tstats);
	free_netdev(dev);
}
