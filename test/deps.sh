#!/usr/bin/env bash
# deps.sh build|test: are the packages here that building (and testing) needs?
# Root gets the missing ones installed; others are told the exact command.
set -eu
packages="build-essential pkg-config postgresql postgresql-server-dev-all
	librdkafka-dev libsimdjson-dev"
[ "$1" = build ] || packages="$packages clang clang-format clang-tidy
	libclang-rt-14-dev libipc-run-perl postgresql-15-pgtap
	default-jdk-headless maven python3"

installed()
{
	case $1 in
	# any version of the server's headers and any Java 11+ will do
	postgresql) ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ;;
	postgresql-server-dev-all)
		[ -f "$(pg_config --pgxs 2>/dev/null)" ] &&
			ls "$(pg_config --includedir-server)/postgres.h" >/dev/null 2>&1 ;;
	default-jdk-headless) command -v java >/dev/null ;;
	maven) command -v mvn >/dev/null ;;
	python3) command -v python3 >/dev/null ;;
	clang | clang-format | clang-tidy) command -v "$1" >/dev/null ;;
	*) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
	esac
}

missing=
for package in $packages; do
	installed "$package" || missing="$missing $package"
done
missing=${missing/postgresql-server-dev-all/postgresql-server-dev-15}
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "Packages are missing. Install them with:" >&2
	echo "  sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
echo "Installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends $missing >/tmp/deps.$$ 2>&1 || {
	cat /tmp/deps.$$
	exit 1
}
rm -f /tmp/deps.$$
