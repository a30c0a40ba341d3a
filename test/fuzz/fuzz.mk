# fuzz.mk: libFuzzer targets over the pure rooms. See test/README.md.
#
#	make fuzz FUZZ_SECONDS=600	every target that long (default: 60 s)
#	make fuzz-short			a few seconds each, as make test does
#
# What was found stays in build/fuzz/<target>/, interesting inputs in
# build/fuzz/corpus/<target>/ for the next run.

FUZZ_CC   ?= clang
FUZZ_CXX  ?= clang++
FUZZ_SAN   = -fsanitize=address,undefined -fno-sanitize-recover=undefined
# clang does not know PostgreSQL's gnu_printf.
FUZZ_FLAGS = $(FRONTEND) -O2 -fno-omit-frame-pointer $(FUZZ_SAN) \
             -Wno-ignored-attributes
FUZZ_NAMES = $(patsubst test/fuzz/%.c,%,$(wildcard test/fuzz/fuzz_*.c))
FUZZ_BINS  = $(FUZZ_NAMES:%=build/fuzz/%)
FUZZ_OBJS  = $(PURE_C:src/%.c=build/fuzz/obj/%.o) \
             $(PURE_CXX:src/%.cpp=build/fuzz/obj/%.o) \
             $(KAFKA_C:src/%.c=build/fuzz/obj/%.o)

build/fuzz/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(FUZZ_CC) -std=gnu11 $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP \
		-c -o $@ $<

build/fuzz/obj/%.o: src/%.cpp
	@mkdir -p $(@D)
	$(FUZZ_CXX) -std=c++17 -fno-exceptions -fno-rtti -DNDEBUG $(FUZZ_FLAGS) \
		-fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

build/fuzz/fuzz_%: test/fuzz/fuzz_%.c test/fuzz/fuzz.h $(FUZZ_OBJS)
	@mkdir -p $(@D)
	$(FUZZ_CC) -std=gnu11 $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $< \
		$(FUZZ_OBJS) $(FRONTEND_LIBS)

-include $(FUZZ_OBJS:.o=.d)

test-build: $(FUZZ_BINS)

.PHONY: fuzz fuzz-short
fuzz: FUZZ_SECONDS ?= 60
fuzz-short: FUZZ_SECONDS ?= 3
fuzz fuzz-short: $(FUZZ_BINS)
	@test/fuzz/run.sh $(FUZZ_SECONDS)
