#!/bin/sh
# What runs below tini in an agent's container: `navvy` with the container's arguments, as the user navvy and not as root.
#
# `agent start` is kept: an agent that is killed, or hands over (navvy agent upgrade), is started again in the same container, where its
# spawner still holds what it ran, and adopts it. Were the container to end, all of it would end too. A signal to the container is the
# agent's: SIGTERM finishes what runs and leaves, a second one gives it back and leaves at once.
set -u

if [ "$(id -u)" = 0 ]; then
  # A folder that the engine has just made for a mount is root's.
  dir=${NAVVY_WORK_DIR:-/var/lib/navvy}
  mkdir -p "$dir" && [ "$(stat -c %u "$dir")" != 0 ] || chown navvy:navvy "$dir"
  groups=10001
  socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
  socket=${socket#unix://}
  [ ! -S "$socket" ] || groups=$groups,$(stat -c %g "$socket")
  export HOME=/home/navvy USER=navvy LOGNAME=navvy
  exec setpriv --reuid 10001 --regid 10001 --groups "$groups" -- "$0" "$@"
fi

[ "${1:-} ${2:-}" = "agent start" ] || exec navvy "$@"

# Its successor is started here.
export NAVVY_MANAGED=1
agent=
is_leaving=
pass() { [ -z "$agent" ] || kill -s "$1" "$agent" 2>/dev/null; }
trap 'is_leaving=1; pass TERM' TERM INT
trap 'pass USR2' USR2

while [ -z "$is_leaving" ]; do
  since=$(date +%s)
  navvy "$@" &
  agent=$!
  # Interrupted by each signal that is passed on.
  while wait "$agent"; code=$?; kill -0 "$agent" 2>/dev/null; do :; done
  agent=
  case $code in
    75) ;; # another one is to go on in its place
    13[0-9] | 143) [ $(($(date +%s) - since)) -ge 5 ] || exit "$code" ;; # killed; soon after its start: left to the restart policy
    *) exit "$code" ;;
  esac
done
exit "${code:-0}"
