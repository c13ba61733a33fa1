# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Builds the load client of the bench of whole connections, with pieces of the tests' server.

LOAD_OUT := $(BUILD)/quic-load.o
LOAD_OBJS := $(patsubst bench/whole/%.c,$(LOAD_OUT)/%.o,$(wildcard bench/whole/*.c))

$(BUILD)/quic-load: $(LOAD_OBJS) $(addprefix $(QUIC_OUT)/,log.o packet.o timer.o tls.o udp.o)
	$(Q)$(CC) $(CFLAGS) $(QUIC_CFLAGS) $(LDFLAGS) -o $@ $^ $(QUIC_LIBS)

$(LOAD_OUT)/%.o: bench/whole/%.c bench/whole/build.mk
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(QUIC_CFLAGS) $(DEPS) -c -o $@ $<

-include $(LOAD_OBJS:.o=.d)
