#!/bin/sh
# Installs what an agent's image needs and its base lacks; the arguments are more packages. A base that has all of it needs no package
# sources, and packages are only asked for where there is apt-get.
set -eu

lacking=""
need() { command -v "$1" >/dev/null || lacking="$lacking $2"; }
need git git
need ssh openssh-client
need tini tini
need setpriv util-linux
need hostname hostname
[ -e /etc/ssl/certs/ca-certificates.crt ] || lacking="$lacking ca-certificates"

# What Python needs for environments of its own comes with it.
for package in "$@"; do
  case $package in
    python3) command -v python3 >/dev/null || lacking="$lacking python3 python3-venv" ;;
    libstdc++6) ls /lib/*/libstdc++.so.6 /usr/lib/*/libstdc++.so.6 >/dev/null 2>&1 || lacking="$lacking $package" ;;
    *) lacking="$lacking $package" ;;
  esac
done

if [ -n "$lacking" ]; then
  command -v apt-get >/dev/null || { echo "this base image lacks$lacking, and it has no apt-get" >&2; exit 1; }
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $lacking
  rm -rf /var/lib/apt/lists/*
fi

# Whom agents and their tasks run as. By hand: not every base has useradd, and the usual numbers are taken in some.
echo "navvy:x:10001:10001:navvy:/home/navvy:/bin/sh" >>/etc/passwd
echo "navvy:x:10001:" >>/etc/group
mkdir -p /home/navvy /var/lib/navvy
chown 10001:10001 /home/navvy /var/lib/navvy
