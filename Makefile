# SPDX-License-Identifier: MIT

KERNELDIR ?= /lib/modules/$(shell uname -r)/build
PREFIX ?= /usr/local
DESTDIR ?=
# Of the module, the library and the tools alike; told in one place.
version := $(shell sed -n 's/^.define KSSL_VERSION.*"\(.*\)"/\1/p' kmod/kssl.h)
CC ?= cc
CFLAGS ?= -O2 -g

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-5s %s\n'
endif

all: module userspace

help:
	@echo 'make              the module for the running kernel, and userspace'
	@echo 'make module       the module only; KERNELDIR=.. for another kernel than the running one'
	@echo 'make userspace    libkssl and the tools, into build/userspace'
	@echo 'make load         load the module;  make unload'
	@echo 'make try          with the module loaded: a server, a client, and proof that the kernel encrypts'
	@echo 'make demo         the same in a virtual machine; installs what is missing, loads nothing here'
	@echo 'make vm-shell     a shell in a virtual machine with kssl in it (KERNEL=6.1|6.12|7.3|debug)'
	@echo 'make check        every test, on the kernels it is for; downloads and builds kernels on its first run'
	@echo 'make fuzz         the fuzzers alone, for FUZZ_SECONDS each (3600); make check gives them 30'
	@echo 'make storm        key changes under load alone, STORM of them in each test (25000); make check has some hundreds'
	@echo 'make interop      every suite with every stack, and the table of them, tests/interop.md;  tests/interop -s: a part'
	@echo 'make ktls         the whole of the kernel'"'"'s own test of kTLS on every kernel, and the table of it, tests/ktls.md'
	@echo 'make legacy-openssl  an OpenSSL with SSL 3.0, RC4 and 3DES, into the cache; prints its prefix'
	@echo 'make bench        measure; BENCH="-I -s 1.3-chacha20 -w 64" a part of it (tests/bench/run -h)'
	@echo 'make style        checkpatch, kernel-doc and clang-format;  make sparse'
	@echo 'make install      module, library, tools, pages, unit; PREFIX, DESTDIR;  install-user: all but the module;  uninstall'
	@echo 'make dkms         sources of the module into /usr/src/kssl-$(version), for dkms add'
	@echo 'make clean'
	@echo 'V=1 shows the commands.'

# --- module: each kernel has a build directory of its own, where the sources are links

release = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' $(KERNELDIR)/include/generated/utsrelease.h)
kernel_make = $(MAKE) $(if $(Q),-s) -C $(KERNELDIR) M=$(CURDIR)/build/$(release)

module: check-config
	@mkdir -p build/$(release)/tests
	@cp -rsf $(addprefix $(CURDIR)/,Kbuild include kmod) build/$(release)/
	@cp -rsf $(addprefix $(CURDIR)/,tests/kunit tests/vectors tests/faults) build/$(release)/tests/
	+$(Q)$(kernel_make) modules

sparse: module
	+$(Q)$(kernel_make) C=2 CF=-D__CHECK_ENDIAN__ modules

needed_config := MODULES INET CRYPTO_AES CRYPTO_GCM

check-config:
	@test -e "$(KERNELDIR)/.config" || { \
		echo 'No kernel to build against in $(KERNELDIR).' >&2; \
		echo 'Install the headers of your kernel (apt install linux-headers-amd64), or set KERNELDIR.' >&2; \
		exit 1; }
	@for option in $(needed_config); do \
		grep -q "^CONFIG_$$option=[ym]" "$(KERNELDIR)/.config" || { \
			echo "This kernel lacks CONFIG_$$option, which kssl needs." >&2; exit 1; }; \
	done

load: module
	for m in $$(modinfo -F depends build/$(release)/kssl.ko | tr , ' '); do modprobe $$m || exit; done
	insmod build/$(release)/kssl.ko

unload:
	rmmod kssl

# --- userspace

out := build/userspace
cflags := $(CFLAGS) -std=gnu11 -D_GNU_SOURCE= -Wall -Wextra -Werror -fPIC -pthread -MMD -MP \
	-Iinclude/uapi -Iuserspace/lib
libs := -lssl -lcrypto

lib_objects := $(patsubst userspace/%.c,$(out)/%.o,$(wildcard userspace/lib/*.c))
perf_objects := $(patsubst userspace/%.c,$(out)/%.o,$(wildcard userspace/perf/*.c))
daemon_objects := $(patsubst userspace/%.c,$(out)/%.o,$(wildcard userspace/daemon/*.c))
ctl_objects := $(patsubst userspace/%.c,$(out)/%.o,$(wildcard userspace/ctl/*.c))
genl_objects := $(patsubst userspace/%.c,$(out)/%.o,$(wildcard userspace/genl/*.c))
run_shared := $(addprefix $(out)/run/,options.o rules.o names.o)
run_objects := $(run_shared) $(addprefix $(out)/run/,kssl-run.o refuse.o)

# In a directory of tests every .c file is a program, but those with a header are shared by all of them.
shared = $(patsubst %.h,%.c,$(wildcard $(1)/*.h))
programs = $(patsubst %.c,build/%,$(filter-out $(call shared,$(1)),$(wildcard $(1)/*.c)))
objects = $(patsubst %.c,build/%.o,$(wildcard $(call shared,$(1))))
abi_tests := $(call programs,tests/abi)
faults_tests := $(call programs,tests/faults)
e2e_tests := $(call programs,tests/e2e)
run_tests := $(call programs,tests/run)
daemon_tests := $(call programs,tests/daemon)

# Into programs that are peers.
preloads := $(patsubst %.c,build/%.so,$(wildcard tests/e2e/preload/*.c))

# As much of Java as JSSE needs, where there is a Java.
jsse := $(if $(shell command -v jlink),build/tests/e2e/java/Jsse.class)

userspace: $(out)/kssl-ctl $(if $(lib_objects),$(out)/libkssl.a $(out)/libkssl.so) $(if $(perf_objects),$(out)/kssl-perf)
userspace: $(out)/kssl-run $(out)/libkssl-run.so
tests: $(abi_tests) $(e2e_tests) $(faults_tests) $(run_tests) $(daemon_tests) $(preloads) $(jsse)
userspace: $(out)/kssld
print-%:
	@echo $($*)

$(out)/%.o: userspace/%.c
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(cflags) -c -o $@ $<

$(out)/libkssl.a: $(lib_objects)
	@mkdir -p $(@D)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(out)/libkssl.so: $(out)/libkssl.so.0
	$(Q)ln -sf $(<F) $@

$(out)/libkssl.so.0: $(lib_objects)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libkssl.so.0 -Wl,-z,defs -Wl,--version-script=userspace/lib/libkssl.map -pthread -o $@ $^ $(libs)

$(out)/run/%.o: private cflags += -fvisibility=hidden
$(out)/run/kssl-run.o: private cflags += -DRUN_LIBDIR='"$(PREFIX)/lib/kssl"'
$(out)/run/kssl-run.o: $(out)/prefix

# Changes when PREFIX does.
$(out)/prefix: always
	@mkdir -p $(@D)
	@echo '$(PREFIX)' | cmp -s - $@ || echo '$(PREFIX)' > $@
always:

$(out)/libkssl-run.so: $(run_shared) $(out)/run/preload.o
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-z,defs -o $@ $^

$(out)/kssl-run: $(run_objects) | $(out)/libkssl-run.so
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(out)/kssld: $(daemon_objects) $(genl_objects) $(out)/libkssl.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ $(libs) -lconfuse -lmnl

$(out)/kssl-perf: $(perf_objects) $(out)/libkssl.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ $(libs) -ljansson -lm

$(out)/kssl-ctl: $(ctl_objects) $(genl_objects)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ $(libs) -ljansson -lmnl

# A server with OpenSSL alone, and the same one ported to libkssl.
userspace: $(out)/example/server $(out)/example/server-kssl
$(out)/example/server: $(out)/example/server.o
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ $(libs)

$(out)/example/server-kssl: $(out)/example/server-kssl.c $(out)/libkssl.a
	$(say) LD $@
	$(Q)$(CC) $(cflags) $(LDFLAGS) -o $@ $^ $(libs)

$(out)/example/server-kssl.c: userspace/example/server.c userspace/example/server.patch
	@mkdir -p $(@D)
	$(Q)patch -s -F 0 -o $@ $^

build/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(cflags) -c -o $@ $<

$(abi_tests): $(call objects,tests/abi)
$(e2e_tests): $(call objects,tests/e2e)
$(faults_tests): $(patsubst %.c,build/%.o,$(wildcard tests/faults/paths/*.c)) $(call objects,tests/abi)
$(abi_tests) $(e2e_tests) $(faults_tests): %: %.o $(if $(lib_objects),$(out)/libkssl.a)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $(filter %.o,$^) $(filter %.a,$^) $(libs) -lmnl

build/tests/run/%.o: private cflags += -Iuserspace/run
$(run_tests): %: %.o $(run_shared) $(out)/run/refuse.o
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(daemon_tests): $(call objects,tests/daemon) $(filter-out %/main.o,$(daemon_objects)) $(genl_objects) $(out)/libkssl.a | $(out)/kssld
$(daemon_tests): %: %.o
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $(filter %.o,$^) $(filter %.a,$^) $(libs) -lconfuse -lmnl

# kssl-ctl as it is for another module: older, and newer.
tests: build/tests/e2e/kssl-ctl-0 build/tests/e2e/kssl-ctl-2
build/tests/e2e/kssl-ctl-%: include/uapi/linux/kssl.h $(ctl_objects) $(genl_objects)
	@mkdir -p $@-include/linux
	$(say) CC $@
	$(Q)sed 's/^\(#define KSSL_ABI[[:space:]]*\).*/\1$*/' $< >$@-include/linux/kssl.h
	$(Q)$(CC) -I$@-include $(filter-out -MMD -MP,$(cflags)) $(LDFLAGS) -o $@ userspace/ctl/*.c userspace/genl/*.c $(libs) -ljansson -lmnl

build/tests/ktls/front: build/tests/ktls/front.o
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -lcrypto

# Built as the kernel's own Makefile does; replaced only if it is another one, for somebody may be copying it.
build/tests/ktls/tls: always
	@mkdir -p $(@D) build/ktls
	$(Q)source=$$(tests/vm/ktls-selftest) && $(CC) -O2 -g -D_GNU_SOURCE= -I"$$source/include/uapi" \
		-I"$$source/tools/testing/selftests" -o build/ktls/tls "$$source/tools/testing/selftests/net/tls.c"
	$(Q)cmp -s build/ktls/tls $@ || mv build/ktls/tls $@

build/tests/%.so: build/tests/%.o
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -o $@ $<

build/tests/e2e/java/Jsse.class: tests/e2e/Jsse.java
	$(say) JAVA $@
	$(Q)rm -rf $(@D)
	$(Q)jlink --add-modules java.base,jdk.crypto.ec --strip-debug --no-header-files --no-man-pages --output $(@D)
	$(Q)javac -d $(@D) $<

-include $(shell find build/userspace build/tests -name '*.d' 2>/dev/null)

# --- tests

KERNEL ?= 6.1

certs: build/certs/done
build/certs/done: tests/vm/certs
	$(say) GEN build/certs
	$(Q)tests/vm/certs build/certs

try: userspace tests certs
	tests/e2e/demo

demo:
	tests/vm/shell -k $(KERNEL) tests/e2e/demo

vm-shell:
	tests/vm/shell -k $(KERNEL)

check:
	@tests/check

legacy-openssl:
	@tests/vm/legacy-openssl

fuzz:
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),3600) tests/host/fuzz/run

storm:
	tests/vm/with-kssl -k $(KERNEL) -t 86400 -f tests/vm/tap -- env E2E_STORM=$(or $(STORM),25000) TAP_BACKSTOP=40000 \
		tests/vm/tap build/tests/e2e/storm build/tests/e2e/writers

interop:
	@tests/interop

ktls:
	@tests/ktls/table

bench: userspace
	tests/bench/run $(BENCH)

# checkpatch and kernel-doc come from the kernel source that the debug kernel is built from too.
kernel_files = $(wildcard include/uapi/linux/*.h kmod/*.[ch] tests/kunit/*.[ch] tests/faults/kmod/*.c)
user_files = $(wildcard userspace/*/*.[ch] tests/*.h tests/abi/*.[ch] tests/e2e/*.[ch] tests/e2e/preload/*.[ch] \
	tests/faults/*.[ch] tests/faults/paths/*.[ch] tests/run/*.[ch] tests/ktls/*.[ch] tests/bench/*.[ch] tests/daemon/*.[ch] tests/host/*.[ch] tests/host/*/*.[ch])
checkpatch = $(Q)perl $$(tests/vm/kernel source)/scripts/checkpatch.pl --strict --no-tree --no-summary --terse \
	--show-types
# Not asked for: strings stay whole however long (coding-style.rst says so); version tests are compat.h's purpose, and
# tests/check sees to it that they stay there; our operation tables are copies of TCP's, filled in at load; a word in a
# message may well be the name of the function around it.
kernel_ignore := LONG_LINE_STRING,LINUX_VERSION_CODE,CONSTANT_COMPARISON,CONST_STRUCT,EMBEDDED_FUNCTION_NAME
# In user space the kernel's types and macros do not exist, the names of other libraries are as they are, checkpatch
# takes their types for operands, a line may have 120 columns, a macro may list tests or functions, take a
# member or end a test, and octets may be many short strings.
user_ignore := LONG_LINE_STRING,PREFER_KERNEL_TYPES,PREFER_DEFINED_ATTRIBUTE_MACRO,ARRAY_SIZE,BIT_MACRO,CAMELCASE,VOLATILE
user_ignore := $(user_ignore),MACRO_ARG_REUSE,EMBEDDED_FUNCTION_NAME,SPACING,BLOCK_COMMENT_STYLE,COMPARISON_TO_NULL
user_ignore := $(user_ignore),COMPLEX_MACRO,TRAILING_SEMICOLON,STRING_FRAGMENTS,MACRO_ARG_PRECEDENCE
user_ignore := $(user_ignore),MULTISTATEMENT_MACRO_USE_DO_WHILE,MACRO_WITH_FLOW_CONTROL,SYMBOLIC_PERMS,LINE_SPACING

checkpatch:
	$(checkpatch) --max-line-length=100 --ignore $(kernel_ignore) --file $(kernel_files)
	$(if $(user_files),$(checkpatch) --max-line-length=120 --ignore $(user_ignore) --file $(user_files))

kernel-doc:
	$(Q)perl $$(tests/vm/kernel source)/scripts/kernel-doc -none -Werror $(kernel_files)

style: checkpatch kernel-doc
	@clang-format --dry-run $(kernel_files) $(user_files) 2>&1 | grep -c 'clang-format-violations' | \
		sed 's/$$/ places clang-format would change (for information)/'

# Pages, completions and what belongs to them lie next to each program.
man := $(DESTDIR)$(PREFIX)/share/man
completions := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
pages = $(wildcard userspace/*/*.[1-8])
completed = $(wildcard userspace/*/*.bash-completion)
example := $(addprefix userspace/example/,server.c server.patch)
bin := kssl-perf kssl-ctl kssl-run
lib := libkssl.a libkssl.so.0 libkssl.so pkgconfig/libkssl.pc kssl/libkssl-run.so

install: install-module install-user

install-module: module
	+$(Q)$(kernel_make) INSTALL_MOD_PATH=$(DESTDIR) modules_install

install-user: userspace
	install -D -t $(DESTDIR)$(PREFIX)/bin $(addprefix $(out)/,$(bin))
	install -D -t $(DESTDIR)$(PREFIX)/sbin $(out)/kssld
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib $(out)/libkssl.a $(out)/libkssl.so.0
	ln -sf libkssl.so.0 $(DESTDIR)$(PREFIX)/lib/libkssl.so
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/kssl $(out)/libkssl-run.so
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/include userspace/lib/libkssl.h
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/include/linux include/uapi/linux/kssl.h
	mkdir -p $(DESTDIR)$(PREFIX)/lib/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(version)|' userspace/lib/libkssl.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/libkssl.pc
	for page in $(pages); do install -D -m 644 -t $(man)/man$${page##*.} $$page || exit; done
	for file in $(completed); do install -D -m 644 $$file $(completions)/$$(basename $$file .bash-completion) || exit; done
	test ! -e userspace/daemon/kssld.conf || install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/kssl userspace/daemon/kssld.conf
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/kssl/example $(example)
	test ! -e userspace/daemon/kssld.service || { mkdir -p $(DESTDIR)$(PREFIX)/lib/systemd/system && \
		sed 's|/usr/local/sbin|$(PREFIX)/sbin|' userspace/daemon/kssld.service > \
			$(DESTDIR)$(PREFIX)/lib/systemd/system/kssld.service; }

# The module stays until its kernel goes, or dkms removes it.
uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(bin)) $(DESTDIR)$(PREFIX)/sbin/kssld
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/lib/,$(lib) systemd/system/kssld.service)
	rm -f $(DESTDIR)$(PREFIX)/include/libkssl.h $(DESTDIR)$(PREFIX)/include/linux/kssl.h
	rm -f $(foreach page,$(pages),$(man)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))
	rm -f $(patsubst %.bash-completion,$(completions)/%,$(notdir $(completed)))
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/doc/kssl/,kssld.conf $(patsubst userspace/%,%,$(example)))

# What dkms add wants: the module's sources, which it builds for each kernel.
dkms := $(DESTDIR)/usr/src/kssl-$(version)
dkms:
	mkdir -p $(dkms)
	cp -r Kbuild kmod include $(dkms)/
	sed 's|@VERSION@|$(version)|' userspace/dkms/dkms.conf.in > $(dkms)/dkms.conf

clean:
	rm -rf build

.PHONY: always all help module sparse check-config load unload userspace tests certs try demo vm-shell check legacy-openssl fuzz storm interop ktls bench checkpatch kernel-doc style install install-module install-user uninstall dkms clean
