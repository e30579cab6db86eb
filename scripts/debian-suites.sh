# Packages of newer suites of the Debian archive that this machine already uses, without root and without installing anything. Read by
# the scripts that fetch one: `. debian-suites.sh`, `find_archive NAME`, then `fetch_package SUITE PACKAGE FOLDER`.

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

# Sets what the others need, or ends the script, which is told by its name.
find_archive() {
  uri=$(archive_uri | head -n 1)
  [ -n "$uri" ] || { echo "$1: no archive in apt's sources: this needs Debian" >&2; exit 1; }
  signed=$(keyring)
}

# Unpacks a package of a suite into `tree` in the folder. Each step says itself whether it worked, as `set -e` does not hold where a
# failure is looked at.
fetch_package() {
  suite=$1 package=$2 folder=$3
  write_source "$suite" "$folder" &&
    apt_in "$folder" update >&2 &&
    apt_in "$folder" download "$package" >&2 &&
    dpkg-deb -x "$folder/${package}"_*.deb "$folder/tree"
}
