# make bench: how fast, against raw librdkafka and a heap table, on a real
# Kafka. Never part of make test.
#
#	make bench ROWS=2000000 LARGE=5000000 ROUNDS=5 ONLY='count|LIMIT' \
#		BOOTSTRAP=host:port

ROWS   ?= 2000000
LARGE  ?= 5000000
ROUNDS ?= 5

BENCH          = build/bench
BENCH_CFLAGS   = -std=gnu11 -O2 -Wall -Wextra -Wshadow -Wno-unused-parameter \
                 -Wno-sign-compare -Wno-missing-field-initializers
BENCH_READER   = $(wildcard src/base/*.c src/kafka/*.c) \
                 test/bench/bench_util.c test/bench/reader_work.c

.PHONY: bench
bench: test-deps all $(BENCH)/raw_consumer $(BENCH)/least_fetch $(BENCH)/reader_work \
		$(BENCH)/table_lookup $(BENCH)/produce_each $(BENCH)/raw_producer build/bin/fill
	@PG_CONFIG="$(PG_CONFIG)" test/bench/bench.py --rows "$(ROWS)" \
		--large "$(LARGE)" --rounds "$(ROUNDS)" --only "$(ONLY)" \
		$(if $(BOOTSTRAP),--bootstrap "$(BOOTSTRAP)")

$(BENCH)/raw_consumer: test/bench/raw_consumer.c test/bench/bench_util.c \
		test/bench/bench_util.h
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -o $@ $(filter %.c,$^) -lrdkafka

$(BENCH)/raw_producer: test/bench/raw_producer.c test/bench/bench_util.c \
		test/bench/bench_util.h
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -o $@ $(filter %.c,$^) -lrdkafka

$(BENCH)/least_fetch: test/bench/least_fetch.c test/bench/bench_util.c \
		test/bench/bench_util.h
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -o $@ $(filter %.c,$^)

$(BENCH)/reader_work: $(BENCH_READER) $(wildcard src/base/*.h src/kafka/*.h) \
		test/bench/bench_util.h
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -DFRONTEND -Isrc -I$(includedir_server) -o $@ \
		$(filter %.c,$^) $(KAFKA_LIBS) -L$(pkglibdir) -lpgcommon -lpgport -lpthread

$(BENCH)/produce_each: test/bench/produce_each.c
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -o $@ $< -lrdkafka

# How fast rooms are by themselves, without a server: build/bench/table_lookup.
BENCH_TABLE = $(wildcard src/base/*.c) $(filter-out %shmem.c,$(wildcard src/table/*.c)) \
              test/bench/bench_util.c test/bench/table_lookup.c

$(BENCH)/table_lookup: $(BENCH_TABLE) $(wildcard src/base/*.h src/batch/*.h src/table/*.h) \
		test/bench/bench_util.h
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -g -DFRONTEND -D_GNU_SOURCE -Isrc -I$(includedir_server) \
		-o $@ $(filter %.c,$^) -L$(pkglibdir) -lpgcommon -lpgport
