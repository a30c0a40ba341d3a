#!/usr/bin/env bash
# deps.sh build|test: are the packages here that building (and testing) needs?
# Root gets the missing ones installed; others are told the exact command.
# Looks for what a package brings, not for its name, so that any PostgreSQL,
# Java or clang will do; takes a few hundredths of a second when all is there.
set -eu
config=${PG_CONFIG:-pg_config}
major=$("$config" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')

have() { command -v "$1" >/dev/null 2>&1; }

# Is there a file that matches?
file() { compgen -G "$1" >/dev/null; }

# Has libsasl2 this plugin?
plugin() { file "/usr/lib/*/sasl2/lib$1.so*" || file "/usr/lib*/sasl2/lib$1.so*"; }

# Is there this program of administrators?
admin() { have "$1" || file "/usr/sbin/$1"; }

# What is missing, as Debian's package names.
missing()
{
	local include=/usr/include pg=${major:-}
	[ -n "$pg" ] || pg=$(apt-cache depends postgresql 2>/dev/null |
		sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
	pg=${pg:-15}
	have gcc && have g++ && have make && file "$include/*/sys/types.h" ||
		echo build-essential
	[ -n "$major" ] && file "$("$config" --pgxs)" &&
		file "$("$config" --includedir-server)/postgres.h" ||
		echo "postgresql-server-dev-$pg"
	[ -n "$major" ] && file "$("$config" --bindir)/initdb" ||
		echo "postgresql-$pg"
	file "$include/librdkafka/rdkafka.h" ||
		file "/usr/local/include/librdkafka/rdkafka.h" || echo librdkafka-dev
	file "$include/simdjson.h" || file "/usr/local/include/simdjson.h" ||
		echo libsimdjson-dev
	file "$include/openssl/ssl.h" || echo libssl-dev
	file "$include/sasl/sasl.h" || echo libsasl2-dev
	file "$include/zlib.h" || echo zlib1g-dev
	file "$include/snappy-c.h" || echo libsnappy-dev
	file "$include/lz4frame.h" || echo liblz4-dev
	file "$include/zstd.h" || echo libzstd-dev
	plugin scram || echo libsasl2-modules
	plugin gssapiv2 || echo libsasl2-modules-gssapi-mit
	have prove || echo perl
	# BROKER=kafka needs Java for the demo too
	[ "$1" = test ] || [ "${BROKER:-}" = kafka ] || return 0
	have java || echo default-jdk-headless
	have mvn || echo maven
	[ "$1" = test ] || return 0
	have clang || echo clang
	have clang-format || echo clang-format
	have clang-tidy || echo clang-tidy
	file '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*' ||
		echo libclang-rt-dev
	have python3 || echo python3
	have openssl || echo openssl
	have kinit || echo krb5-user
	admin krb5kdc || echo krb5-kdc
	admin kadmin.local || echo krb5-admin-server
	perl -MIPC::Run -e 1 2>/dev/null || echo libipc-run-perl
	have pg_prove || echo libtap-parser-sourcehandler-pgtap-perl
	[ -n "$major" ] && file "$("$config" --sharedir)/extension/pgtap.control" ||
		echo "postgresql-$pg-pgtap"
}

packages=$(missing "$1" | tr '\n' ' ')
[ -n "$packages" ] || exit 0
if ! have apt-get; then
	echo "Missing (names of Debian's packages): $packages" >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	cat >&2 <<-TEXT
	Packages are missing. This installs them:
	  sudo apt-get update && sudo apt-get install -y --no-install-recommends $packages
	TEXT
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() { "$@" >"$log" 2>&1 </dev/null || { cat "$log" >&2; exit 1; }; }
echo "Looking for Debian's newest packages"
quietly apt-get update
packages=$(missing "$1" | tr '\n' ' ')
echo "Installing $packages"
# shellcheck disable=SC2086
quietly apt-get install -y --no-install-recommends $packages
