// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The stand-in card as a device: puts the driver's BPF application on the stand-in's firmware and
 * ports, and takes it down again. Unbinding the device is a card that was pulled.
 */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/vmalloc.h>
#include <net/devlink.h>

#include "card.h"

/* What the driver's code calls in parts of the driver that are not linked here. */

struct device *nfp_cpp_device(struct nfp_cpp *cpp)
{
	return &cpp->dev;
}

u8 __iomem *nfp_rtsym_map(struct nfp_rtsym_table *rtbl, const char *name, const char *id,
			  unsigned int min_size, struct nfp_cpp_area **area)
{
	if (strcmp(name, "_abi_bpf_capabilities"))
		return (u8 __iomem *)ERR_PTR(-ENOENT);
	*area = limits_capabilities();
	return *area ? (u8 __iomem *)(*area)->bytes : (u8 __iomem *)ERR_PTR(-ENOMEM);
}

size_t nfp_cpp_area_size(struct nfp_cpp_area *area)
{
	return area->size;
}

void nfp_cpp_area_release_free(struct nfp_cpp_area *area)
{
	kfree(area);
}

struct sk_buff *nfp_app_ctrl_msg_alloc(struct nfp_app *app, unsigned int size, gfp_t priority)
{
	return alloc_skb(size, priority);
}

void nfp_check_rhashtable_empty(void *ptr, void *arg)
{
	WARN_ON_ONCE(1);
}

static int ctrl_create(struct card *card)
{
	struct nfp_net *ctrl = vzalloc(sizeof(*ctrl));

	if (!ctrl)
		return -ENOMEM;
	ctrl->app = &card->app;
	ctrl->dp.dev = card->cpp.dev.parent;
	ctrl->dp.mtu = NFP_NET_DEFAULT_MTU;
	spin_lock_init(&ctrl->r_vecs[0].lock);
	skb_queue_head_init(&ctrl->r_vecs[0].queue);
	card->ctrl = ctrl;
	return 0;
}

static void ports_destroy(struct card *card)
{
	unsigned int i;

	for (i = 0; i < card->n_ports; i++)
		WRITE_ONCE(card->ports[i]->far_end, NULL);
	synchronize_net(); /* nobody is sending on the cable any more */
	while (card->n_ports)
		port_destroy(card->ports[--card->n_ports]);
}

static int ports_create(struct card *card)
{
	unsigned int i;

	for (i = 0; i < card->pf.max_data_vnics; i++) {
		struct port *port = port_create(card, i);

		if (IS_ERR(port)) {
			ports_destroy(card);
			return PTR_ERR(port);
		}
		card->ports[card->n_ports++] = port;
	}
	for (i = 0; i < card->n_ports; i++)
		WRITE_ONCE(card->ports[i]->far_end, card->ports[card->n_ports - 1 - i]);
	return 0;
}

static int app_create(struct card *card)
{
	struct nfp_app *app = &card->app;
	int err;

	app->pf = &card->pf;
	app->cpp = &card->cpp;
	app->type = &app_bpf;
	err = nfp_app_init(app);
	if (err)
		return err;
	app->ctrl = card->ctrl;
	err = app->type->start(app);
	if (err)
		nfp_app_clean(app);
	return err;
}

static int card_probe(struct platform_device *pdev)
{
	static const struct devlink_ops devlink_ops;
	struct devlink *devlink;
	struct card *card;
	int err;

	devlink = devlink_alloc(&devlink_ops, sizeof(*card), &pdev->dev);
	if (!devlink)
		return -ENOMEM;
	card = devlink_priv(devlink);
	card->cpp.dev.parent = &pdev->dev;
	card->pdev.dev.init_name = dev_name(&pdev->dev);
	card->pf.pdev = &card->pdev;
	card->pf.cpp = &card->cpp;
	card->pf.app = &card->app;
	card->pf.max_data_vnics = limits_ports();
	err = dma_coerce_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		goto err_devlink;
	card->pf.eth_tbl = kzalloc(sizeof(*card->pf.eth_tbl), GFP_KERNEL);
	if (!card->pf.eth_tbl) {
		err = -ENOMEM;
		goto err_devlink;
	}
	card->pf.eth_tbl->count = card->pf.max_data_vnics;
	err = ctrl_create(card);
	if (err)
		goto err_eth_tbl;
	firmware_init(card);
	err = app_create(card);
	if (err)
		goto err_ctrl;
	err = ports_create(card);
	if (err)
		goto err_app;
	debug_create(card);
	devlink_register(devlink);
	platform_set_drvdata(pdev, card);
	return 0;

err_app:
	nfp_app_clean(&card->app);
err_ctrl:
	firmware_clean(card);
	vfree(card->ctrl);
err_eth_tbl:
	kfree(card->pf.eth_tbl);
err_devlink:
	devlink_free(devlink);
	return err;
}

static int card_remove(struct platform_device *pdev)
{
	struct card *card = platform_get_drvdata(pdev);

	devlink_unregister(priv_to_devlink(card));
	debug_destroy(card);
	ports_destroy(card);
	nfp_app_clean(&card->app);
	firmware_clean(card);
	vfree(card->ctrl);
	kfree(card->pf.eth_tbl);
	devlink_free(priv_to_devlink(card));
	return 0;
}

static struct platform_driver card_driver = {
	.probe = card_probe,
	.remove = card_remove,
	.driver.name = "nfp",
};

static struct platform_device *card_device;

static int __init card_module_init(void)
{
	int err = platform_driver_register(&card_driver);

	if (err)
		return err;
	card_device = platform_device_register_simple("nfp", PLATFORM_DEVID_NONE, NULL, 0);
	if (!IS_ERR(card_device))
		return 0;
	platform_driver_unregister(&card_driver);
	return PTR_ERR(card_device);
}

static void __exit card_module_exit(void)
{
	platform_device_unregister(card_device);
	platform_driver_unregister(&card_driver);
}

module_init(card_module_init);
module_exit(card_module_exit);
MODULE_LICENSE("Dual BSD/GPL");
MODULE_DESCRIPTION("The nfp driver's BPF offload over a stand-in for the card");
