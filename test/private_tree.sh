#!/usr/bin/env bash
# private_tree.sh DIR: a PostgreSQL installation of our own under DIR, made of
# the system's one and the built extension, without touching the system.
#
# PostgreSQL finds its share and lib folders relative to its own executable, so
# copies of the executables (links would be followed back) under the same
# relative folders see our extension beside the system's. Prints the bin folder.
set -eu
dir=$1
config=${PG_CONFIG:-pg_config}
root=$(cd "$(dirname "$0")/.." && pwd)
bindir=$($config --bindir)
libdir=$($config --pkglibdir)
sharedir=$($config --sharedir)

mkdir -p "$dir$bindir" "$dir$libdir" "$dir$sharedir/extension"
cp "$bindir"/* "$dir$bindir/"
ln -sf "$libdir"/* "$dir$libdir/"
for file in "$sharedir"/*; do
	[ "${file##*/}" = extension ] || ln -sfn "$file" "$dir$sharedir/${file##*/}"
done
ln -sf "$sharedir"/extension/* "$dir$sharedir/extension/"
rm -f "$dir$libdir/streamsql.so" "$dir$sharedir"/extension/streamsql*
cp --remove-destination "$root/streamsql.so" "$dir$libdir/"
cp "$root/streamsql.control" "$root"/sql/streamsql--*.sql \
	"$dir$sharedir/extension/"
echo "$dir$bindir"
