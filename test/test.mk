# test.mk: building and running the tests. See test/README.md.

BROKER_BINS = build/bin/mock_broker build/bin/fill build/bin/drain build/bin/wire

# Pure rooms, compiled without a server, for unit tests and fuzzers.
PURE_C   = $(filter-out %_datum.c,$(wildcard src/base/*.c src/batch/*.c \
           src/format/*.c src/plan/*.c src/expr/*.c src/exec/*.c)) $(TABLE_C)
PURE_CXX = $(wildcard src/format/*.cpp)
KAFKA_C  = $(wildcard src/kafka/*.c)
TABLE_C  = $(filter-out %shmem.c,$(wildcard src/table/*.c))
PG_LIBDIR   = $(shell $(PG_CONFIG) --pkglibdir)
FRONTEND    = -DFRONTEND -D_GNU_SOURCE -Isrc -Itest/unit \
              -I$(shell $(PG_CONFIG) --includedir-server) -g -O1 -Wall -Wextra \
              -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
SANITIZE    = -fsanitize=address,undefined -fno-sanitize-recover=undefined \
              -fno-omit-frame-pointer
FRONTEND_LIBS = -L$(PG_LIBDIR) -lpgcommon -lpgport -lsimdjson $(KAFKA_LIBS) \
                -lstdc++ -lpthread -lm

PURE_OBJS  = $(PURE_C:src/%.c=build/pure/%.o) $(PURE_CXX:src/%.cpp=build/pure/%.o)
KAFKA_OBJS = $(KAFKA_C:src/%.c=build/pure/%.o)
UNIT_TESTS = $(patsubst test/unit/%.c,build/unit/%,$(wildcard test/unit/*_test.c))

build/bin/%: test/broker/%.c
	@mkdir -p $(@D)
	$(CC) -O2 -g -Wall -Wextra -Wshadow -o $@ $< -lrdkafka

build/bin/wire: test/broker/wire.c $(KAFKA_OBJS) build/pure/base/base_error.o
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(FRONTEND) $(SANITIZE) -o $@ $^ $(FRONTEND_LIBS)

build/pure/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(FRONTEND) $(SANITIZE) -MMD -MP -c -o $@ $<

build/pure/%.o: src/%.cpp
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -fno-exceptions -fno-rtti -DNDEBUG $(FRONTEND) $(SANITIZE) \
		-MMD -MP -c -o $@ $<

build/unit/%_test: test/unit/%_test.c $(PURE_OBJS) $(KAFKA_OBJS) $(wildcard test/unit/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(FRONTEND) $(SANITIZE) -o $@ $< $(PURE_OBJS) \
		$(KAFKA_OBJS) $(FRONTEND_LIBS)

# What is written and read at once, under TSAN, which does not go with ASAN. The
# program in build/unit is a script: TSAN of older compilers does not start
# where addresses are more random than it knows of, and not everywhere may a
# program do without that.
TSAN_OBJS  = $(patsubst src/%.c,build/tsan/%.o,$(wildcard src/base/*.c) $(TABLE_C))
TSAN_FLAGS = $(FRONTEND) -O2 -fsanitize=thread -fno-omit-frame-pointer

build/tsan/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(TSAN_FLAGS) -MMD -MP -c -o $@ $<

build/tsan/%_test: test/unit/%_test.c $(TSAN_OBJS) $(wildcard test/unit/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(TSAN_FLAGS) -o $@ $< $(TSAN_OBJS) \
		-L$(PG_LIBDIR) -lpgcommon -lpgport -lpthread

build/unit/table_concurrent_test: build/unit/%: build/tsan/%
	@mkdir -p $(@D)
	@printf '%s\n' '#!/bin/sh' 'program=$$(dirname "$$0")/../tsan/$*' \
		'if setarch -R "$$program" probe 2>/dev/null; then' \
		'	exec setarch -R "$$program" "$$@"' 'fi' \
		'exec "$$program" "$$@"' >$@
	@chmod +x $@

-include $(PURE_OBJS:.o=.d) $(KAFKA_OBJS:.o=.d) $(TSAN_OBJS:.o=.d)

KINDS = unit fuzz regress isolation pgtap tap \
        regress-librdkafka isolation-librdkafka

# Build quietly: what the compiler said is shown when it failed.
quietly = mkdir -p build && $(MAKE) --no-print-directory -j2 $(1) \
	>build/$(1).log 2>&1 || { cat build/$(1).log; exit 1; }

.PHONY: test test-deps test-build test-kafka $(KINDS:%=test-%)
test-deps:
	@test/deps.sh test

# The jars of a real Kafka; without Java the tests that need one are skipped.
test-kafka:
	@test/broker/broker.sh fetch

# FUZZ_BINS may be set by a file that make reads after this one.
.SECONDEXPANSION:
test-build: all $(BROKER_BINS) $(UNIT_TESTS) $$(FUZZ_BINS)

test: test-deps
	@$(call quietly,test-build)
	@test/broker/broker.sh fetch
	@test/run.sh

test-unit: $(UNIT_TESTS)
test-fuzz: $$(FUZZ_BINS)
$(patsubst %,test-%,$(filter-out unit fuzz,$(KINDS))): all $(BROKER_BINS)
test-tap: test-kafka
$(KINDS:%=test-%):
	@test/run.sh $(@:test-%=%)

# More generated queries than make test runs: make fuzz-queries SEED=7 N=20000.
.PHONY: fuzz-queries
fuzz-queries: N ?= 10000
fuzz-queries: all $(BROKER_BINS)
	@TESTS=060_native_queries SEED=$(SEED) N=$(N) TAP_SECONDS=86400 test/run.sh tap

# The regress tests against a running server (PGHOST, PGPORT, PGUSER …) into
# which `make install` has put the extension.
.PHONY: installcheck
installcheck: $(BROKER_BINS)
	@test/installcheck.sh

# The demo's page, psql on the same instance, a debugger on that psql's backend.
.PHONY: demo demo-build psql gdb
demo-build: all $(BROKER_BINS)

demo psql:
	@test/deps.sh build
	@$(call quietly,demo-build)
	@test/demo/demo.sh $@

gdb:
	@test/demo/demo.sh gdb
