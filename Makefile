# streamsql: SQL over Kafka topics inside PostgreSQL. See README.md.
#
#	make demo	the main job on a private PostgreSQL and an embedded broker
#	make test	everything that is proven
#	make		the extension; make install to put it into PG_CONFIG's server

MODULE_big = streamsql
EXTENSION  = streamsql
DATA       = $(wildcard sql/streamsql--*.sql)

C_SOURCES   = $(wildcard src/*.c src/*/*.c)
CXX_SOURCES = $(wildcard src/*/*.cpp)
OBJS        = $(C_SOURCES:.c=.o) $(CXX_SOURCES:.cpp=.o)

# Before 16 PostgreSQL's headers leave PGDLLEXPORT empty, and nothing would be
# seen from outside.
PG_CPPFLAGS = -Isrc '-DPGDLLEXPORT=__attribute__((visibility("default")))'
PG_CFLAGS   = -std=gnu11 -Wextra -Wshadow -Wno-unused-parameter -Wno-sign-compare \
              -Wno-missing-field-initializers -Wno-declaration-after-statement \
              -Werror=implicit-function-declaration -fvisibility=hidden -MMD -MP
PG_CXXFLAGS = -std=c++17 -Wall -Wextra -Wno-register -fno-exceptions -fno-rtti \
              -fvisibility=hidden -MMD -MP
# What room kafka needs.
KAFKA_LIBS  = -lrdkafka -lssl -lcrypto -lsasl2 -lz -lsnappy -llz4 -lzstd
SHLIB_LINK  = $(KAFKA_LIBS) -lsimdjson -lstdc++ -lpthread

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
# No bitcode: the hot code is ours, compiled once, and clang is not needed.
override with_llvm := no

ifeq ($(wildcard $(PGXS)),)

# A fresh machine: install what is missing, or name it, then start again.
define begin_again
@test/deps.sh $(1)
@test -f "$$($(PG_CONFIG) --pgxs)" || \
	{ echo "$(PG_CONFIG) knows no PGXS: set PG_CONFIG" >&2; exit 1; }
@$(MAKE) --no-print-directory $@
endef

.PHONY: all install demo psql test lint bench fuzz installcheck gdb clean
all install demo psql:
	$(call begin_again,build)
test lint bench fuzz installcheck gdb:
	$(call begin_again,test)
test-% lint-% fuzz-%:
	$(call begin_again,test)
clean:
	rm -rf build

else

include $(PGXS)
-include $(OBJS:.o=.d)
include $(wildcard test/*.mk test/*/*.mk)

clean: clean-deps
.PHONY: clean-deps
clean-deps:
	rm -f $(OBJS:.o=.d)
	rm -rf build

endif
