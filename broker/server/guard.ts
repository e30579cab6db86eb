/**
 * A shell script that becomes the server (`exec`, so the process id is the server's own) and leaves a small watcher
 * beside it. The watcher reads a pipe on 3 whose other end is the parent's, and which the kernel closes however the parent dies:
 *   - a line: the server has ended by itself, nothing to do;
 *   - the end of the pipe: the parent is gone, and the server goes too, first politely, after 2 s for good.
 *
 * `$1` is a folder to remove then (empty: none), the rest is the server's command line. The server is started from the
 * shell that already has its watcher, so there is no moment without one. Not stdin: Node destroys a child's stdin before
 * it tells of the child's end, and shells give background jobs /dev/null for it.
 */
export const GUARD = `
folder=$1; shift
(
  trap "" INT HUP TERM
  if read -r line <&3; then exit 0; fi
  kill -TERM $$
  tries=0
  while kill -0 $$ && [ $tries -lt 20 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -KILL $$
  [ -z "$folder" ] || rm -rf -- "$folder"
) >/dev/null 2>&1 &
exec 3<&-
exec "$@"
`;
