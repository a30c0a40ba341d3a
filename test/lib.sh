# lib.sh: what the test and demo scripts share. To be sourced; needs $root.

PG_CONFIG=${PG_CONFIG:-pg_config}
pgxs_src=$(dirname "$(dirname "$("$PG_CONFIG" --pgxs)")")

# Run a script of ours again as an ordinary user in a copy of the tree that
# this user owns, since PostgreSQL refuses to run as root. The copy is removed
# afterwards, its build/log comes back.
run_unprivileged()
{
	local user=nobody copy code=0
	! id postgres >/dev/null 2>&1 || user=postgres
	copy=$(mktemp -d /tmp/streamsql.XXXXXX)
	mkdir "$copy/tree"
	(cd "$root" && tar cf - --exclude=./.git --exclude=./build/log \
		--exclude=./build/lint --exclude=./build/run \
		--exclude=./build/bench .) |
		tar xf - -C "$copy/tree"
	chown -R "$user" "$copy"
	(cd "$copy/tree" && setpriv --reuid="$user" --regid="$(id -g "$user")" \
		--clear-groups env HOME="$copy" USER="$user" LOGNAME="$user" \
		TMPDIR="$copy" "$@") || code=$?
	mkdir -p "$root/build/log"
	[ ! -d "$copy/tree/build/log" ] ||
		cp -r "$copy/tree/build/log/." "$root/build/log/"
	rm -rf "$copy"
	return $code
}

# A private installation and instance in $work, reached by a unix socket only.
# Sets PATH, PGHOST, PGPORT, PGUSER; stop_instance ends it. Arguments are lines
# of postgresql.conf.
start_instance()
{
	local bin
	bin=$("$root/test/private_tree.sh" "$work/pg")
	export PATH="$bin:$PATH"
	sockets=$(mktemp -d /tmp/sq.XXXXXX)
	export PGHOST=$sockets PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	if [ ! -f "$work/data/PG_VERSION" ]; then
		initdb -D "$work/data" -U postgres -A trust -E UTF8 --locale=C -N \
			>"$work/initdb.log" 2>&1 || { cat "$work/initdb.log"; return 1; }
	fi
	cat >"$work/data/postgresql.auto.conf" <<-EOF
	listen_addresses = ''
	unix_socket_directories = '$sockets'
	fsync = off
	autovacuum = off
	log_statement = none
	test.bootstrap = '${STREAMSQL_BOOTSTRAP:-}'
	test.fill = '${STREAMSQL_FILL:-}'
	EOF
	printf '%s\n' "$@" >>"$work/data/postgresql.auto.conf"
	pg_ctl -D "$work/data" -l "$work/postgres.log" -w -t 60 start >/dev/null ||
		{ tail -n 30 "$work/postgres.log"; return 1; }
}

stop_instance()
{
	[ ! -f "$work/data/postmaster.pid" ] ||
		pg_ctl -D "$work/data" -m immediate -w stop >/dev/null 2>&1 || true
	[ -z "${sockets:-}" ] || rm -rf "$sockets"
}

# A broker of kind $1 in $work/broker; sets what fill and psql need.
start_broker()
{
	BROKER_PARENT=$$ "$root/test/broker/broker.sh" start "$1" "$work/broker"
	. "$work/broker/env"
	export STREAMSQL_FILL="$root/build/bin/fill"
}

stop_broker()
{
	[ ! -d "$work/broker" ] || "$root/test/broker/broker.sh" stop "$work/broker"
}
