# cleave: make run | test | bench | fuzz | reproduce | lint | man | install | uninstall | dist
# | clean
# Variables: BUILD=build  SAN=1 (ASan+UBSan)  PREFIX=/usr/local  PEER=dir (bench)  CC=gcc
BUILD  ?= build
PREFIX ?= /usr/local
CC     ?= cc
NPROC  := $(shell nproc 2>/dev/null || echo 2)

ifdef SAN
override BUILD := $(BUILD)-san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT := -O1 -g
KOPT := -O2 -g
else
OPT := -O2 -g
KOPT := -O3 -g
endif

# --- libraries, each found by pkg-config -------------------------------------------
PKGS := ncursesw lua5.4 openblas libpng zlib jansson libzip cairo
PKG_OK := $(shell pkg-config --exists $(PKGS) 2>/dev/null && echo yes)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
# openblas is opened at the first product (src/tensor/openblas.c), cairo when the first figure is
# written (src/figure/paper.c)
PKG_LIBS := $(shell pkg-config --libs $(filter-out cairo openblas,$(PKGS)) 2>/dev/null)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wwrite-strings -Wredundant-decls \
        -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla \
        -Wpointer-arith -Wdouble-promotion -Wformat=2
ifdef WERROR
WARN += -Werror
endif
CFLAGS_ALL := -std=c17 -D_GNU_SOURCE $(WARN) $(OPT) -fno-math-errno -fno-trapping-math \
              -ffp-contract=fast $(SANFLAGS) -Isrc -I$(BUILD)/gen $(PKG_CFLAGS) $(CFLAGS)
LDFLAGS_ALL := $(SANFLAGS) -pthread -rdynamic $(LDFLAGS)
LIBS := $(PKG_LIBS) -lm -ldl -pthread

# --- sources: a folder is an archive; *_kern.c is compiled four times -----------------
FOLDERS := base tensor figure graph data model decomp lab script kernel ui
KERN_VARIANTS := f32_base f32_avx2 f32_avx512 f64_base
ISA_f32_base   :=
ISA_f64_base   := -DKERN_F64
ISA_f32_avx2   := -mavx2 -mfma
ISA_f32_avx512 := -mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512

objs_of = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(filter-out %_kern.c,$(wildcard src/$(1)/*.c))) \
          $(foreach v,$(KERN_VARIANTS),$(patsubst src/%.c,$(BUILD)/obj/%.$(v).o,$(wildcard src/$(1)/*_kern.c)))
below_base   := base
below_tensor := tensor base
below_figure := figure base
below_graph  := graph $(below_tensor)
below_data   := data $(below_graph)
below_model  := model $(below_graph)
below_decomp := decomp $(below_graph)
below_lab    := lab model decomp data graph figure tensor base
below_script := script $(below_lab)
below_kernel := kernel $(below_script)
below_ui     := ui $(below_kernel)
libs_of = $(patsubst %,$(BUILD)/lib/%.a,$(below_$(1)))

.PHONY: all run test bench fuzz reproduce lint man install uninstall dist clean \
        check-deps FORCE
all: check-deps $(BUILD)/cleave

check-deps:
ifneq ($(PKG_OK),yes)
	@sh scripts/setup.sh run
	@$(MAKE) --no-print-directory $(BUILD)/cleave
endif

$(BUILD)/cleave: $(BUILD)/obj/main.o $(call libs_of,ui)
	$(CC) $(LDFLAGS_ALL) -o $@ $(BUILD)/obj/main.o -Wl,--start-group $(call libs_of,ui) -Wl,--end-group $(LIBS)

define FOLDER_RULE
$(BUILD)/lib/$(1).a: $$(call objs_of,$(1)) $(if $(filter script,$(1)),$(BUILD)/obj/gen/lua_embed.o)
	@mkdir -p $$(@D)
	@rm -f $$@
	@ar rcs $$@ $$(filter %.o,$$^)
endef
$(foreach f,$(FOLDERS),$(eval $(call FOLDER_RULE,$(f))))

$(BUILD)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

define KERN_RULE
$(BUILD)/obj/%.$(1).o: src/%.c
	@mkdir -p $$(@D)
	$(CC) $(CFLAGS_ALL) $(KOPT) -fopenmp-simd -DKERN_SUFFIX=$(1) $(ISA_$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach v,$(KERN_VARIANTS),$(eval $(call KERN_RULE,$(v))))

# --- lua/cleave/*.lua become one C array ------------------------------------------------
LUA_SRC := $(wildcard lua/cleave/*.lua)
$(BUILD)/gen/lua_embed.c: $(LUA_SRC) scripts/embed.sh
	@mkdir -p $(@D)
	sh scripts/embed.sh $(LUA_SRC) > $@.tmp && mv $@.tmp $@
$(BUILD)/obj/gen/lua_embed.o: $(BUILD)/gen/lua_embed.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -c -o $@ $<

# --- tests: tests/unit/<folder>/<name>.c links <folder> and what is below it ------------
UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*/*.c))
UNIT_BIN := $(UNIT:%=$(BUILD)/unit/%)
.SECONDEXPANSION:
$(BUILD)/unit/%: tests/unit/%.c $$(call libs_of,$$(firstword $$(subst /, ,$$*)))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -Itests/unit -MMD -MP $(LDFLAGS_ALL) -o $@ $< \
	  -Wl,--start-group $(call libs_of,$(firstword $(subst /, ,$*))) -Wl,--end-group \
	  $(shell pkg-config --libs cmocka) $(LIBS)
unit/%: $(BUILD)/unit/% FORCE
	$(BUILD)/unit/$*
FORCE:

# tests/bench/*.c: programs linked with everything but main.c, not run by `make test`
$(BUILD)/bench/%: tests/bench/%.c $(call libs_of,ui)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) -o $@ $< \
	  -Wl,--start-group $(call libs_of,ui) -Wl,--end-group $(LIBS)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

run:
	@sh scripts/setup.sh run
	@$(MAKE) --no-print-directory -j$(NPROC) all
	$(BUILD)/cleave run scripts/two_bank.lua

test:
	@sh scripts/setup.sh run test
	@$(MAKE) --no-print-directory -j$(NPROC) all
	@$(MAKE) --no-print-directory -j$(NPROC) unit-bins
	@BUILD=$(BUILD) sh tests/run.sh
.PHONY: unit-bins
unit-bins: $(UNIT_BIN)

lint:
	@BUILD=$(BUILD) sh tests/lint/run.sh

bench: all
	@sh scripts/setup.sh bench $(if $(PEER),peer)
	@$(MAKE) --no-print-directory $(BUILD)/bench/dense
	@BUILD=$(BUILD) PEER="$(PEER)" sh tests/bench/run.sh

fuzz:
	@sh scripts/setup.sh run fuzz
	@BUILD=$(BUILD) sh tests/fuzz/run.sh

reproduce: all
	@sh scripts/setup.sh run test
	@BUILD=$(BUILD) sh tests/reproduce.sh

man: all
	$(BUILD)/cleave help --mdoc > man/cleave-api.3.tmp && mv man/cleave-api.3.tmp man/cleave-api.3
	$(BUILD)/cleave help --keys > man/cleave-keys.5.tmp && mv man/cleave-keys.5.tmp man/cleave-keys.5

# --- installing: PREFIX, DESTDIR; the binary finds its data beside itself ------------------
DEST = $(DESTDIR)$(PREFIX)
BASH_COMPLETION = $(DEST)/share/bash-completion/completions/cleave
ZSH_COMPLETION = $(DEST)/share/zsh/site-functions/_cleave
MAN_PAGES := $(wildcard man/*.[1-8])
install: all
	install -Dm755 $(BUILD)/cleave $(DEST)/bin/cleave
	install -d $(DEST)/share/cleave/mnist $(DEST)/share/cleave/scripts
	install -m644 data/mnist/*.gz data/mnist/MANIFEST $(DEST)/share/cleave/mnist
	install -m644 scripts/*.lua scripts/python/*.py $(DEST)/share/cleave/scripts
	for f in $(MAN_PAGES); do \
	  install -Dm644 $$f $(DEST)/share/man/man$${f##*.}/$${f##*/} || exit 1; done
	install -d $(dir $(BASH_COMPLETION)) $(dir $(ZSH_COMPLETION))
	$(BUILD)/cleave completion bash >$(BASH_COMPLETION)
	$(BUILD)/cleave completion zsh >$(ZSH_COMPLETION)
	chmod 644 $(BASH_COMPLETION) $(ZSH_COMPLETION)

uninstall:
	rm -f $(DEST)/bin/cleave $(BASH_COMPLETION) $(ZSH_COMPLETION)
	for f in $(MAN_PAGES); do rm -f $(DEST)/share/man/man$${f##*.}/$${f##*/}; done
	rm -rf $(DEST)/share/cleave

# A tarball that needs nothing but libc: linked again to look for libraries beside itself.
# DT_RPATH rather than DT_RUNPATH, because it also serves the libraries' own libraries.
$(BUILD)/dist-cleave: $(BUILD)/cleave
	$(CC) $(LDFLAGS_ALL) -Wl,--disable-new-dtags -Wl,-rpath,'$$ORIGIN/../lib' -o $@ \
	  $(BUILD)/obj/main.o -Wl,--start-group $(call libs_of,ui) -Wl,--end-group $(LIBS)

dist: all
	@$(MAKE) --no-print-directory $(BUILD)/dist-cleave
	@BUILD=$(BUILD) MAKE="$(MAKE)" sh scripts/dist.sh

clean:
	rm -rf $(BUILD) $(BUILD)-san
