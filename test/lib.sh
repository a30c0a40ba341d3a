# lib.sh: what the test and demo scripts share. To be sourced; needs $root.

PG_CONFIG=${PG_CONFIG:-pg_config}
pgxs_src=$(dirname "$(dirname "$("$PG_CONFIG" --pgxs)")")

# Run a script of ours again as an ordinary user in a copy of the tree that
# this user owns, since PostgreSQL refuses to run as root. The copy is removed
# afterwards, its build/log comes back; build/copy tells `make gdb` where it is.
run_unprivileged()
{
	local user=nobody code=0
	! id postgres >/dev/null 2>&1 || user=postgres
	copy=$(mktemp -d /tmp/streamsql.XXXXXX)
	trap 'rm -rf "$copy" "$root/build/copy"' EXIT
	trap 'exit 130' INT TERM HUP
	mkdir -p "$copy/tree" "$root/build"
	echo "$copy/tree" >"$root/build/copy"
	(cd "$root" && tar cf - --exclude=./.git --exclude='*.[od]' \
		--exclude=./build/{log,lint,run,bench,demo,copy} .) |
		tar xf - -C "$copy/tree"
	chown -R "$user:$(id -g "$user")" "$copy"
	(cd "$copy/tree" && setpriv --reuid="$user" --regid="$(id -g "$user")" \
		--clear-groups env HOME="$copy" USER="$user" LOGNAME="$user" \
		TMPDIR="$copy" "$@") || code=$?
	if [ -d "$copy/tree/build/log" ]; then
		rm -rf "$root/build/log"
		mkdir -p "$root/build/log"
		cp -r "$copy/tree/build/log/." "$root/build/log/"
	fi
	return $code
}

# A private installation and instance in $work, reached by a unix socket only.
# Sets PATH, PGHOST, PGPORT, PGUSER; stop_instance ends it. Arguments are lines
# of postgresql.conf. Functions of the server can run what fills the broker:
# its environment has STREAMSQL_*, and settings tell them too.
start_instance()
{
	local bin
	bin=$("$root/test/private_tree.sh" "$work/pg")
	export PATH="$bin:$PATH"
	# a unix socket's path must be short
	sockets=$(mktemp -d /tmp/sq.XXXXXX)
	export PGHOST=$sockets PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	initdb -D "$work/data" -U postgres -A trust -E UTF8 --locale=C -N \
		>"$work/initdb.log" 2>&1 || { cat "$work/initdb.log"; return 1; }
	cat >>"$work/data/postgresql.conf" <<-TEXT
	listen_addresses = ''
	unix_socket_directories = '$sockets'
	fsync = off
	autovacuum = off
	shared_preload_libraries = 'streamsql'
	test.bootstrap = '${STREAMSQL_BOOTSTRAP:-}'
	test.fill = '${STREAMSQL_FILL:-}'
	TEXT
	printf '%s\n' "$@" >>"$work/data/postgresql.conf"
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
	BROKER_PARENT=$$ "$root/test/broker/broker.sh" start "$1" "$work/broker" ||
		return 1
	. "$work/broker/env"
	export STREAMSQL_FILL="$root/build/bin/fill"
}

stop_broker()
{
	[ ! -d "$work/broker" ] || "$root/test/broker/broker.sh" stop "$work/broker"
}
