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

cache=${NAVVY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/navvy}
[ $# -gt 0 ] || set -- own trixie forky sid
mkdir -p "$cache/versions"
work=$(mktemp -d "$cache/fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The archive that this machine already uses, in either format of apt's sources. Security and backports are other ones.
archive_uri() {
  cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '
    /^URIs:/ && $2 !~ /security/ { print $2; exit }'
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk '
    $1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^(https?|file|mirror|tor).*:/ && $i !~ /security/) { print $i; exit } }'
}

keyring() {
  for file in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; do
    [ ! -e "$file" ] || { echo "$file"; return; }
  done
}

# apt that keeps all it writes inside the suite's folder. As root it would else become another account, which can not
# enter that folder.
apt_in() {
  folder=$1; shift
  (cd "$folder" && apt-get -qq \
    -o APT::Sandbox::User=root \
    -o Dir::State::lists="$folder/lists" -o Dir::Cache="$folder/cache" \
    -o Dir::Etc::sourcelist="$folder/source.list" -o Dir::Etc::sourceparts=- \
    -o Acquire::Languages=none "$@")
}

write_source() {
  suite=$1 folder=$2
  if [ "$suite" = own ]; then
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:?this system names no suite}")
  fi
  mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
  echo "deb ${signed:+[signed-by=$signed] }$uri $suite main" >"$folder/source.list"
}

# Two suites may carry one version: the one that comes second keeps what is there. Each step says itself whether it
# worked, as `set -e` does not hold where a failure is looked at.
fetch() {
  suite=$1 folder=$work/$1
  write_source "$suite" "$folder" &&
    apt_in "$folder" update >&2 &&
    apt_in "$folder" download nats-server >&2 &&
    dpkg-deb -x "$folder"/nats-server_*.deb "$folder/tree" || return 1
  # The place where navvy looks for a cached server.
  mv "$folder/tree/usr/sbin/nats-server" "$folder/tree/nats-server" || return 1
  version=$("$folder/tree/nats-server" --version | sed -n 's/^nats-server: v//p')
  [ -n "$version" ] || return 1
  target=$cache/versions/$version
  [ -e "$target/nats-server" ] || mv -T "$folder/tree" "$target" 2>/dev/null || [ -e "$target/nats-server" ] || return 1
  printf '%s\t%s\n' "$version" "$target/nats-server"
}

uri=$(archive_uri | head -n 1)
[ -n "$uri" ] || { echo "fetch-nats-versions: no archive in apt's sources: this needs Debian" >&2; exit 1; }
signed=$(keyring)

failed=0
for suite in "$@"; do
  fetch "$suite" || { echo "fetch-nats-versions: suite $suite at $uri gave no nats-server" >&2; failed=1; }
done
exit $failed
