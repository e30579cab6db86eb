#!/bin/sh
# Fetches the nats-server versions that navvy is tested on, as Debian packages, without root and without installing
# anything. The machine's own suite gives the oldest one that is supported; newer suites of the same archive the others.
# Prints one line for each: version, a tab, the path of the binary. Fails when a suite gave none.
#
#   scripts/fetch-nats-versions.sh                 # own suite, trixie, forky, sid
#   scripts/fetch-nats-versions.sh own trixie      # only these
#   NAVVY_TEST_NATS=$(scripts/fetch-nats-versions.sh trixie | cut -f2) npx vitest run
#
# NAVVY_CACHE: where to put them (default $XDG_CACHE_HOME/navvy or ~/.cache/navvy), below versions/<version>/.
set -eu
. "$(dirname "$0")/debian-suites.sh"

cache=${NAVVY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/navvy}
[ $# -gt 0 ] || set -- own trixie forky sid
mkdir -p "$cache/versions"
work=$(mktemp -d "$cache/fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Two suites may carry one version: the one that comes second keeps what is there.
fetch() {
  suite=$1 folder=$work/$1
  fetch_package "$suite" nats-server "$folder" || return 1
  # The place where navvy looks for a cached server.
  mv "$folder/tree/usr/sbin/nats-server" "$folder/tree/nats-server" || return 1
  version=$("$folder/tree/nats-server" --version | sed -n 's/^nats-server: v//p')
  [ -n "$version" ] || return 1
  target=$cache/versions/$version
  [ -e "$target/nats-server" ] || mv -T "$folder/tree" "$target" 2>/dev/null || [ -e "$target/nats-server" ] || return 1
  printf '%s\t%s\n' "$version" "$target/nats-server"
}

find_archive fetch-nats-versions

failed=0
for suite in "$@"; do
  fetch "$suite" || { echo "fetch-nats-versions: suite $suite at $uri gave no nats-server" >&2; failed=1; }
done
exit $failed
