# test.mk: building and running the tests. See test/README.md.

BROKER_BINS = build/bin/mock_broker build/bin/fill

# Pure rooms, compiled without a server, for unit tests and fuzzers.
PURE_C   = $(wildcard src/base/*.c src/batch/*.c src/format/*.c)
PURE_CXX = $(wildcard src/format/*.cpp)
KAFKA_C  = $(wildcard src/kafka/*.c)
PG_LIBDIR   = $(shell $(PG_CONFIG) --pkglibdir)
FRONTEND    = -DFRONTEND -D_GNU_SOURCE -Isrc -Itest/unit \
              -I$(shell $(PG_CONFIG) --includedir-server) -g -O1 -Wall -Wextra \
              -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
SANITIZE    = -fsanitize=address,undefined -fno-sanitize-recover=undefined \
              -fno-omit-frame-pointer
FRONTEND_LIBS = -L$(PG_LIBDIR) -lpgcommon -lpgport -lsimdjson -lrdkafka \
                -lstdc++ -lpthread -lm

PURE_OBJS  = $(PURE_C:src/%.c=build/pure/%.o) $(PURE_CXX:src/%.cpp=build/pure/%.o)
KAFKA_OBJS = $(KAFKA_C:src/%.c=build/pure/%.o)
UNIT_TESTS = $(patsubst test/unit/%.c,build/unit/%,$(wildcard test/unit/*_test.c))

build/bin/%: test/broker/%.c
	@mkdir -p $(@D)
	$(CC) -O2 -g -Wall -Wextra -Wshadow -o $@ $< -lrdkafka

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

-include $(PURE_OBJS:.o=.d) $(KAFKA_OBJS:.o=.d)

KINDS = unit fuzz regress isolation pgtap tap

.PHONY: test test-deps test-build $(KINDS:%=test-%) demo psql gdb
test-deps:
	@test/deps.sh test

test-build: all $(BROKER_BINS) $(UNIT_TESTS) $(FUZZ_BINS)

test: test-deps
	@$(MAKE) --no-print-directory -j2 test-build >build/test-build.log 2>&1 || \
		{ cat build/test-build.log; exit 1; }
	@test/broker/broker.sh fetch
	@test/run.sh

$(KINDS:%=test-%): test-%: test-build
	@test/run.sh $*

demo psql: all build/bin/mock_broker build/bin/fill
	@test/demo/demo.sh $@

# The same tests against a running server (PGHOST, PGPORT, PGUSER …) into which
# `make install` has put the extension.
.PHONY: installcheck
installcheck: $(BROKER_BINS)
	@test/installcheck.sh

# A debugger on a backend of the instance that `make psql` runs.
gdb:
	@gdb -p $$(psql -X -A -t -h $$(cat build/demo/sockets) -U postgres -c \
		"SELECT pid FROM pg_stat_activity WHERE application_name = 'psql' AND pid <> pg_backend_pid() LIMIT 1")
