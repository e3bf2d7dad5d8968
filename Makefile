# Makefile - builds, tests and installs slimta; `make help` lists the targets
# SPDX-License-Identifier: MIT

MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash
.SHELLFLAGS := -ec
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# These work before anything is installed or configured; they call make again where they need more.
EARLY := deps peers run check check-long bench fuzz clean distclean format help
ifneq ($(filter-out $(EARLY),$(or $(MAKECMDGOALS),all)),)
include config.mk
endif

config.mk: configure
	if [ -x config.status ]; then ./config.status --recheck && ./config.status; else ./configure; fi
configure: configure.ac
	autoconf
config.h: config.mk ;

# ---- variants: build/default, build/sanitize, build/faults, build/sanitize-faults, each also -clang
ifeq ($(origin CC),default)
CC := $(or $(CONFIG_CC),cc)
endif
ifdef FUZZ
CC := clang
endif
empty :=
space := $(empty) $(empty)
VARIANT := $(subst $(space),-,$(strip $(or $(strip $(if $(FUZZ),fuzz) $(if $(SANITIZE),sanitize) \
	$(if $(FAULTS),faults)),default) $(if $(FUZZ),,$(if $(findstring clang,$(CC)),clang))))
B := build/$(VARIANT)

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 \
	-Wno-missing-field-initializers
HARDENING := -fstack-protector-strong -fstack-clash-protection -fPIE
# Sanitized, -O2 takes half as long again to compile and finds no more; what gcc guesses at -O1 is often wrong.
CFLAGS ?= $(if $(SANITIZE),-O1,-O2) -g
BASE_FLAGS := -std=gnu11 $(CFLAGS) $(WARNINGS) $(HARDENING) -pthread -D_GNU_SOURCE -I. $(LIB_CFLAGS)
LINK_FLAGS := -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed $(LDFLAGS)
ifdef SANITIZE
BASE_FLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
	$(if $(findstring clang,$(CC)),,-Wno-maybe-uninitialized)
LINK_FLAGS += -fsanitize=address,undefined
else ifdef FUZZ
BASE_FLAGS += -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
LINK_FLAGS += -fsanitize=address,undefined
else
BASE_FLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
ifdef FAULTS
BASE_FLAGS += -DSLIMTA_FAULTS
endif
COMPILE = $(CC) $(BASE_FLAGS) -include common/base/banned.h -MMD -MP

# ---- what there is: a program is its folder; main() is in FOLDER/main.c
sources = $(sort $(wildcard $(1)/*.c $(1)/*/*.c))
objects = $(patsubst %.c,$(B)/%.o,$(1))
# Tests of a program's parts link libFOLDER.a, which is the program without main.c.
FOLDERS := edge worker master queuectl
PROGRAMS := $(FOLDERS:%=$(B)/slimta-%)
COMMON := $(call objects,$(call sources,common/*))
UNITS := $(patsubst t/%.c,$(B)/t/%,$(sort $(wildcard t/unit-*.c)))
TOOLS := $(patsubst %.c,$(B)/%,$(sort $(wildcard t/lib/*.c)))
BENCH_TOOLS := $(B)/t/bench/load $(B)/t/bench/sink
RECORDER := $(B)/t/lib/preload/recorder.so
FUZZERS := $(patsubst t/fuzz/%.c,$(B)/%,$(sort $(wildcard t/fuzz/fuzz-*.c)))
HEADERS := $(sort $(foreach folder,common $(FOLDERS),$(wildcard $(folder)/*.h $(folder)/*/*.h \
	$(folder)/*/*/*.h)))

# What a unit or fuzz program links besides libcommon.a. t/unit-edge-*.c gets libedge.a by its name,
# likewise worker, master and queuectl; others say it here: UNIT_EXTRA_name for t/unit-name.c.

all: $(PROGRAMS) $(B)/libcommon.a

# Other flags than last time: all is compiled again.
ifneq ($(filter-out $(EARLY),$(or $(MAKECMDGOALS),all)),)
ifneq ($(strip $(file <$(B)/.flags)),$(strip $(COMPILE)))
$(shell mkdir -p $(B))
$(file >$(B)/.flags,$(COMPILE))
endif
endif
$(B)/.flags: ;

# V=1 shows the commands.
say = $(if $(V),,@echo "$(1)	$@";)
$(B)/%.o: %.c config.h $(B)/.flags
	@mkdir -p $(@D)
	$(call say,compile)$(COMPILE) -c -o $@ $<

# Part of it, by .incbin.
$(B)/common/queue/redis/script.o: $(sort $(wildcard common/queue/redis/*.lua))

archive = $(call say,archive)rm -f $@; $(AR) rcs $@ $(filter %.o,$^)
link = $(call say,link)$(CC) $(LINK_FLAGS) $(if $(findstring /fuzz-,$@),-fsanitize=fuzzer) -o $@ $^ $(LIBS)
$(B)/libcommon.a: $(COMMON)
	@mkdir -p $(@D)
	$(archive)
define folder_rules
$(B)/lib$(1).a: $(call objects,$(filter-out $(1)/main.c,$(call sources,$(1))))
	@mkdir -p $$(@D)
	$$(archive)
$(B)/slimta-$(1): $(B)/$(1)/main.o $(B)/lib$(1).a $(B)/libcommon.a
	$$(link)
endef
$(foreach folder,$(FOLDERS),$(eval $(call folder_rules,$(folder))))

# $(call extra,NAME): the archives and objects for the test t/unit-NAME.c or t/fuzz/fuzz-NAME.c
extra = $(UNIT_EXTRA_$(1)) $(patsubst %,$(B)/lib%.a,$(filter $(firstword $(subst -, ,$(1))),$(FOLDERS)))
define unit_rule
$(B)/t/unit-$(1): $(B)/t/unit-$(1).o $(call extra,$(1)) $(B)/libcommon.a
	$$(link)
endef
$(TOOLS): $(B)/t/lib/%: $(B)/t/lib/%.o $(B)/libcommon.a
	$(CC) $(LINK_FLAGS) -o $@ $^ $(LIBS)
$(BENCH_TOOLS): $(B)/t/bench/tool.o $(B)/libcommon.a
$(B)/t/bench/load: $(B)/t/bench/load.o $(B)/t/bench/load_session.o $(B)/t/bench/load_secure.o
$(B)/t/bench/sink: $(B)/t/bench/sink.o $(B)/t/bench/sink_hosts.o
$(BENCH_TOOLS):
	$(CC) $(LINK_FLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)
# Never sanitized, nor with checked calls: it stands before every library, and defines those calls itself.
$(RECORDER): $(sort $(wildcard t/lib/preload/*.[ch])) $(B)/.flags
	@mkdir -p $(@D)
	$(call say,link)$(CC) -std=gnu11 -O2 -g $(WARNINGS) -fPIC -shared -pthread -D_GNU_SOURCE -U_FORTIFY_SOURCE -I. \
		-include common/base/banned.h $(LDFLAGS) -o $@ $(filter %.c,$^)
define fuzz_rule
$(B)/fuzz-$(1): $(B)/t/fuzz/fuzz-$(1).o $(call extra,$(1)) $(B)/libcommon.a
	$$(link)
endef
$(foreach unit,$(UNITS),$(eval $(call unit_rule,$(unit:$(B)/t/unit-%=%))))
$(foreach fuzzer,$(FUZZERS),$(eval $(call fuzz_rule,$(fuzzer:$(B)/fuzz-%=%))))

-include $(shell [ ! -d $(B) ] || find $(B) -name '*.d')

# ---- tests
# TAP_KEEP: a program that runs each test and keeps what it prints.
TAP_KEEP ?=
PROVE := SLIMTA_BUILD=$(B) prove -e '$(TAP_KEEP)'
# Tests mostly wait: with as many as there are processors, these stand still.
JOBS ?= $(shell echo $$((2 * $$(nproc))))
TESTS ?= $(sort $(wildcard t/*.t))
FUZZ_SECONDS ?= 20
# For the makes called here, where the caller chose no -j of its own.
PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

units: $(UNITS) $(TOOLS) $(BENCH_TOOLS) $(RECORDER)
bench-tools: $(BENCH_TOOLS)
unit: units
	$(PROVE) -j$(JOBS) $(UNITS)
check-headers:
	@for header in $(HEADERS); do \
		$(CC) $(BASE_FLAGS) -fsyntax-only -x c - <<<"#include \"$$header\"" \
			|| { echo "$$header does not compile alone"; exit 1; }; \
	done
system: all
	$(PROVE) -j$(JOBS) $(TESTS)
fuzzers: $(FUZZERS)

check:
	.ci/deps run check
	$(MAKE) $(PARALLEL) all units
	$(MAKE) $(PARALLEL) FAULTS=1 all units
	$(MAKE) FAULTS=1 unit
	$(MAKE) unit system
# The long forms of those tests that look at LONG.
LONG_TESTS = $(shell grep -l "'LONG'" t/*.t)
LONG_UNITS = $(patsubst t/%.c,build/default/t/%,$(shell grep -l '"LONG"' t/unit-*.c))
check-long:
	.ci/deps run check
	$(MAKE) $(PARALLEL) all units
	$(MAKE) $(PARALLEL) FAULTS=1 all units
	LONG=1 HARNESS_TIMER=1 timeout --kill-after=60 40m $(MAKE) system JOBS=$(shell nproc) TESTS='$(LONG_TESTS) $(LONG_UNITS)'
# Against Postfix, t/bench/README. BENCH=full: all cases; BENCH_ARGS='--only lone': see bench.run --help.
bench:
	.ci/deps run check
	$(MAKE) $(PARALLEL) all bench-tools
	cd t && timeout --kill-after=10 $(if $(filter full,$(BENCH)),100m,595) \
		/usr/bin/python3 -m bench.run $(if $(filter full,$(BENCH)),--full) $(BENCH_ARGS)
fuzz:
	$(MAKE) $(PARALLEL) FUZZ=1 fuzzers
	.ci/fuzz-all $(FUZZ_SECONDS)

# ---- first minutes
deps:
	.ci/deps run check lint
peers:
	.ci/deps peers
define RUN_HELP
slimta starts on conf/slimta.conf. From another terminal, in this folder:
  send     printf 'Subject: hello\r\n\r\nHello.\r\n' | curl -sS smtp://127.0.0.1:1025 \
               --mail-from me@example.org --mail-rcpt you@example.net -T -
  read     ls run/mail/you@example.net
  look     build/default/slimta-queuectl -c conf/slimta.conf list      (or: status, show ID)
  stop     Ctrl-C here, or: kill $$(cat run/slimta.pid)
endef
export RUN_HELP
run:
	.ci/deps run
	$(MAKE) $(PARALLEL) all
	mkdir -p run
	@echo "$$RUN_HELP"
	@exec build/default/slimta-master -c conf/slimta.conf $$([ "$$(id -u)" != 0 ] || echo --allow-root)

# ---- installing
MAN8 := $(wildcard man/*.8)
MAN5 := $(wildcard man/*.5)
INSTALL := install
install: all
	$(INSTALL) -d $(DESTDIR)$(sbindir) $(DESTDIR)$(mandir)/man8 $(DESTDIR)$(mandir)/man5 \
		$(DESTDIR)$(docdir)/examples $(DESTDIR)$(unitdir)
	$(INSTALL) -m 755 $(PROGRAMS) $(DESTDIR)$(sbindir)
	$(INSTALL) -m 644 $(MAN8) $(DESTDIR)$(mandir)/man8
	$(INSTALL) -m 644 $(MAN5) $(DESTDIR)$(mandir)/man5
	$(INSTALL) -m 644 README LICENSE $(DESTDIR)$(docdir)
	$(INSTALL) -m 644 $(wildcard conf/*.conf conf/*.yaml) $(DESTDIR)$(docdir)/examples
	$(INSTALL) -m 755 $(wildcard conf/*.sh) $(DESTDIR)$(docdir)/examples
	for unit in $(wildcard conf/*.service); do \
		sed 's|/usr/sbin/slimta-|$(sbindir)/slimta-|' $$unit >$(DESTDIR)$(unitdir)/$${unit##*/}; \
	done
uninstall:
	rm -f $(PROGRAMS:$(B)/%=$(DESTDIR)$(sbindir)/%) $(MAN8:man/%=$(DESTDIR)$(mandir)/man8/%) \
		$(MAN5:man/%=$(DESTDIR)$(mandir)/man5/%) \
		$(patsubst conf/%,$(DESTDIR)$(unitdir)/%,$(wildcard conf/*.service))
	rm -rf $(DESTDIR)$(docdir)
dist: configure
	mkdir -p build
	git archive --prefix=slimta-$(VERSION)/ --add-file=configure HEAD \
		| gzip -9 >build/slimta-$(VERSION).tar.gz
	@echo build/slimta-$(VERSION).tar.gz

clean:
	rm -rf build
distclean: clean
	rm -rf autom4te.cache configure config.mk config.h config.log config.status
# What nobody touched keeps its layout: a change shows only itself.
FORMAT_SINCE ?= HEAD
format:
	git clang-format --force $(FORMAT_SINCE) -- '*.c' '*.h'
help:
	@echo "make              build into build/default (SANITIZE=1, FAULTS=1, CC=clang: other folders)"
	@echo "make deps         install what is needed to run, to check and to lint"
	@echo "make run          install, build, start on conf/slimta.conf: SMTP on 127.0.0.1:1025"
	@echo "make check        install, build, all tests   (make unit, make system TESTS=t/4*.t: a part)"
	@echo "make check-long   those tests that have a long form in it, with a summary; 40 minutes at most"
	@echo "make check-headers  every header compiles alone"
	@echo "make bench        measure it against Postfix, as root; 10 minutes at most  (BENCH=full: all cases)"
	@echo "make fuzz         every fuzz target for FUZZ_SECONDS"
	@echo "make install      to DESTDIR and prefix; make uninstall takes it away"
	@echo "make format       the lines of C changed since FORMAT_SINCE, else since the last commit"
	@echo "make dist clean distclean"

.PHONY: all units bench-tools unit check-headers system fuzzers install uninstall dist $(EARLY)
