#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the Go programs that the tests use into .tools/bin and prints their paths. What is up to date stays.
#
#   test/tools/build.sh              all of them
#   test/tools/build.sh <name>...    some of them
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$root/.tools/bin
stamps=$root/.tools/stamps

# name, folder of its module below test/tools, package
tools='
csi-sanity      .  github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity
csi-descriptor  .  ./csi-descriptor
'

# Static binaries, so that they also run in a bare image; the same bytes wherever they are built.
export CGO_ENABLED=0 GOWORK=off

command -v go >/dev/null || { echo "build.sh: Go is not installed (https://go.dev/dl/)" >&2; exit 1; }

# Everything that decides what a build gives: the compiler, the pins, our sources, how we build.
fingerprint() { # <folder of the module>
  (
    cd "$1"
    go version
    go env GOOS GOARCH GOFLAGS
    cat "$here/build.sh"
    find . -name go.mod -o -name go.sum -o -name '*.go' | LC_ALL=C sort | xargs sha256sum
  ) | sha256sum
}

build() { # <name> <folder of the module> <package>
  local name=$1 folder=$here/$2 package=$3 now scratch
  now=$(fingerprint "$folder")
  if [[ ! -x $bin/$name || $(cat "$stamps/$name" 2>/dev/null) != "$now" ]]; then
    echo "building $name" >&2
    scratch=$(mktemp "$bin/.$name.XXXXXX")
    # Renamed into place: whoever runs the old one, or builds at the same time, sees a whole file.
    if ! (cd "$folder" && go build -mod=readonly -trimpath -buildvcs=false -ldflags '-s -w' -o "$scratch" "$package"); then
      rm -f "$scratch"
      return 1
    fi
    chmod 755 "$scratch"
    mv "$scratch" "$bin/$name"
    echo "$now" >"$stamps/$name"
  fi
  echo "$bin/$name"
}

mkdir -p "$bin" "$stamps"
for wanted in "$@"; do
  awk -v name="$wanted" '$1 == name { found = 1 } END { exit !found }' <<<"$tools" || {
    echo "build.sh: no tool is called $wanted; there are:" $(awk 'NF { print $1 }' <<<"$tools") >&2
    exit 2
  }
done
while read -r name folder package; do
  [[ -n $name ]] || continue
  if [[ $# -eq 0 || " $* " == *" $name "* ]]; then
    build "$name" "$folder" "$package"
  fi
done <<<"$tools"
