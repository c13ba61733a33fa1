# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Builds the QUIC server of the end-to-end tests; part of the top Makefile, or used by itself.

BUILD ?= build
PKG_CONFIG ?= pkg-config

QUIC_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
# By itself it builds the library too.
ifndef LIB_DIR
include $(QUIC_DIR)/../../lib/build.mk
endif
QUIC_OUT := $(BUILD)/quic
QUIC_PKGS := libngtcp2 libngtcp2_crypto_gnutls libnghttp3 gnutls
# Recursive on purpose: pkg-config runs only when this server is built.
QUIC_CFLAGS = -std=gnu11 -O2 -g -Wall -Wextra -Werror -I $(LIB_DIR) \
	$(shell $(PKG_CONFIG) --cflags $(QUIC_PKGS))
QUIC_LIBS = $(shell $(PKG_CONFIG) --libs $(QUIC_PKGS))
QUIC_OBJS := $(patsubst $(QUIC_DIR)/%.c,$(QUIC_OUT)/%.o,$(wildcard $(QUIC_DIR)/*.c))

$(BUILD)/quic-server: $(QUIC_OBJS) $(BUILD)/libshunt-cid.a
	$(Q)$(CC) $(CFLAGS) $(QUIC_CFLAGS) $(LDFLAGS) -o $@ $^ $(QUIC_LIBS)

$(QUIC_OUT)/%.o: $(QUIC_DIR)/%.c | $(QUIC_OUT)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(QUIC_CFLAGS) $(DEPS) -c -o $@ $<

$(QUIC_OUT):
	$(Q)mkdir -p $@

-include $(QUIC_OBJS:.o=.d)
