#!/bin/sh
# Fetches Docker Compose 2 as a Debian package, without root and without installing anything: Debian 12 has the first one only. Prints
# the path of the program. Newer suites of the archive that this machine already uses are asked.
#
#   scripts/fetch-compose.sh                 # trixie, forky, sid: the first that has it
#
# NAVVY_CACHE: where to put it (default $XDG_CACHE_HOME/navvy or ~/.cache/navvy), below compose/.
set -eu
. "$(dirname "$0")/debian-suites.sh"

cache=${NAVVY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/navvy}
program=usr/libexec/docker/cli-plugins/docker-compose
[ $# -gt 0 ] || set -- trixie forky sid
if [ -x "$cache/compose/docker-compose" ]; then
  echo "$cache/compose/docker-compose"
  exit
fi
mkdir -p "$cache/compose"
work=$(mktemp -d "$cache/fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
find_archive fetch-compose

for suite in "$@"; do
  if fetch_package "$suite" docker-compose "$work/$suite" && "$work/$suite/tree/$program" version >&2; then
    mv "$work/$suite/tree/$program" "$cache/compose/docker-compose"
    echo "$cache/compose/docker-compose"
    exit
  fi
  echo "fetch-compose: suite $suite at $uri gave no compose that runs here" >&2
done
exit 1
