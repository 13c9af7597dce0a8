#!/usr/bin/env bash
# peers.sh: prints a directory for PATH in which syslog-ng, loggen and rsyslogd are, the real senders of the
# tests of drivers/syslog.
#
# The two packages exclude each other, and installing either would replace the log daemon of this machine. So
# nothing is installed: what is missing of them, and of what they need, is unpacked into the cache.
set -euo pipefail
. "$(dirname "$0")/cluster/lib.sh"
peers=$CACHE/peers
wanted=(syslog-ng-core rsyslog rsyslog-openssl)

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# needed: the packages that are wanted, and what they depend on and is not installed. libelogind0 is an
# alternative of libsystemd0, which every machine has.
needed() {
  printf '%s\n' "${wanted[@]}"
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "${wanted[@]}" |
    grep -E '^[a-z0-9]' | grep -v elogind | grep -vxE "$(IFS='|' && echo "${wanted[*]}")" | sort -u | while read -r p; do installed "${p%:*}" || echo "$p"; done
}

# wrapper PROGRAM FILE [ARG...]: a program that finds its libraries where it was unpacked
wrapper() {
  local program=$1 file=$2
  shift 2
  printf '#!/bin/sh\nSYSLOGNG_PREFIX=%q LD_LIBRARY_PATH=%q exec %q %s "$@"\n' "$peers/usr" "$libraries" "$file" "$*" >"$peers/usr/run/$program"
  chmod +x "$peers/usr/run/$program"
}

if [ ! -e "$peers/complete" ]; then
  command -v apt-get >/dev/null || die "the tests send with syslog-ng and rsyslog, from Debian's packages; here is no apt-get"
  rm -rf "$peers"
  mkdir -p "$peers/packages" "$peers/usr/run"
  if ! apt-cache show rsyslog >/dev/null 2>&1; then
    [ "$(id -u)" = 0 ] || die "the lists of packages are empty, and only root can fetch them: apt-get update"
    say "fetching the lists of packages"
    apt-get update -q >/dev/null
  fi
  say "unpacking ${wanted[*]} into $peers"
  mapfile -t packages < <(needed)
  # a name may be virtual, or of an alternative: what cannot be had of those is not needed either
  cd "$peers/packages"
  for p in "${packages[@]}"; do apt-get -q -o APT::Sandbox::User=root download "$p" >/dev/null 2>&1 || true; done
  for p in ./*.deb; do dpkg-deb -x "$p" "$peers"; done
  libraries=$(find "$peers" -name '*.so*' -printf '%h\n' | sort -u | grep -vE '/(rsyslog|syslog-ng)(/|$)' | paste -sd:)
  libraries+=:$(dirname "$(find "$peers" -name 'libsyslog-ng-*.so*' | head -n 1)")
  modules=$(find "$peers/usr/lib" -path '*syslog-ng*' -name 'libaffile.so' -printf '%h\n' | head -n 1)
  for file in sbin/rsyslogd sbin/syslog-ng bin/loggen; do
    [ -x "$peers/usr/$file" ] || die "$file could not be had from the packages ${wanted[*]}"
  done
  wrapper rsyslogd "$peers/usr/sbin/rsyslogd"
  wrapper syslog-ng "$peers/usr/sbin/syslog-ng" "--module-path=$modules"
  wrapper loggen "$peers/usr/bin/loggen"
  rm -rf "$peers/packages"
  touch "$peers/complete"
fi
echo "$peers/usr/run"
