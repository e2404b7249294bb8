# SPDX-License-Identifier: GPL-2.0-only
#
# Included by every Kbuild that includes compat.h.
#
# Which IPVS this kernel has is asked of the compiler, never of a version
# number: each file in probes/ compiles where its feature is there. The first
# one must always compile: if it does not, the toolchain or the headers are
# broken, and every other answer would be wrong.

ssyncp-probes := $(dir $(lastword $(MAKEFILE_LIST)))probes

# Empty where probes/$(1).c compiles, else what the compiler says.
ssyncp-try = $(shell out=$$($(CC) $(NOSTDINC_FLAGS) $(LINUXINCLUDE) \
	$(KBUILD_CPPFLAGS) $(KBUILD_CFLAGS) $(KBUILD_CFLAGS_MODULE) \
	-DMODULE -DKBUILD_MODNAME='"probe"' \
	-Werror=incompatible-pointer-types -fsyntax-only \
	$(ssyncp-probes)/$(1).c 2>&1) || echo "exit status $$?: $$out")
ssyncp-has = $(if $(call ssyncp-try,$(1)),,-DSSYNCP_HAVE_$(2))

# Not set while cleaning, when there is nothing to ask.
ifdef CONFIG_MODULES
ifndef CONFIG_IP_VS
$(error ssyncp: this kernel has no IPVS (CONFIG_IP_VS is not set))
endif
ifneq ($(CONFIG_IP_VS),m)
$(error ssyncp: IPVS is built into this kernel: it has to be a module 	(CONFIG_IP_VS=m), in which its functions are looked up)
endif
ssyncp-broken := $(call ssyncp-try,toolchain)
ifneq ($(ssyncp-broken),)
$(error ssyncp: probes/toolchain.c does not compile against these kernel \
	headers, so no probe can be trusted. The compiler says: \
	$(ssyncp-broken))
endif
ccflags-y += $(call ssyncp-has,transition_iph_len,TRANSITION_IPH_LEN)
ccflags-y += $(call ssyncp-has,dest_inactconns,DEST_INACTCONNS)
ccflags-y += $(call ssyncp-has,ftpsvc_per_family,FTPSVC_PER_FAMILY)
ccflags-y += $(call ssyncp-has,conn_tab,CONN_TAB)
endif
