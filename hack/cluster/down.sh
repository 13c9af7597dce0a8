#!/bin/bash
# down.sh: end the cluster and remove everything it made; says so when there is none. What was built stays.
set -uo pipefail
. "$(dirname "$0")/lib.sh"

# remove_cgroups FILE: the directories it lists, deepest first; the kernel needs a moment after the last process.
remove_cgroups() {
  local dir
  while read -r _ dir; do
    for _ in {1..50}; do
      [ -d "$dir" ] || break
      find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null
      [ ! -d "$dir" ] || sleep 0.1
    done
  done <"$1"
}

found=
for dir in "$RUN"/node[0-9]; do
  [ -d "$dir" ] || continue
  found=1 n=${dir##*node} pid=$(node_pid "$n")
  if alive "$pid"; then
    kill -9 "$pid" # process 1 of its pid namespace: the kernel ends everything inside, mounts go with it
    for _ in {1..100}; do
      alive "$pid" || break
      sleep 0.1
    done
  fi
  ip link del "v$CLUSTER-$n" 2>/dev/null
  [ ! -e "$dir/cgroups" ] || remove_cgroups "$dir/cgroups"
done
ip link del "$BRIDGE" 2>/dev/null && found=1 # its routes go with it
if [ -e "$RUN/inotify-before" ]; then cat "$RUN/inotify-before" >/proc/sys/fs/inotify/max_user_instances; fi
if [ -d "$RUN" ]; then
  # The nodes' /usr is the host's, mounted in their own namespaces. Should one ever show here, remove nothing.
  ! grep -q " $RUN/" /proc/self/mountinfo || die "something is still mounted under $RUN; see /proc/self/mountinfo"
  rm -rf --one-file-system "$RUN"
fi
[ -z "$found" ] || say "down"
