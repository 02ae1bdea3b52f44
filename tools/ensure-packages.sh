#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Sees to the Debian packages whose commands Cofferdam runs. Installs what is missing when it can, and says so; else
# prints the command that would, and fails.
#
#   tools/ensure-packages.sh           what the driver and its tests need
#   tools/ensure-packages.sh --bench   and what the benchmarks need
#   tools/ensure-packages.sh --lvm     and what the tests of the LVM backend need, a virtual machine among it
#
# COFFERDAM_NO_INSTALL=1 only looks.
set -euo pipefail

# An ordinary user's PATH has no sbin.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# command, the package it comes with
commands='
blkid       util-linux
fsfreeze    util-linux
losetup     mount
mount       mount
umount      mount
mkfs.ext4   e2fsprogs
e2fsck      e2fsprogs
resize2fs   e2fsprogs
mkfs.xfs    xfsprogs
xfs_growfs  xfsprogs
xfs_repair  xfsprogs
mkfs.btrfs  btrfs-progs
btrfs       btrfs-progs
btrfstune   btrfs-progs
ip          iproute2
nsenter     util-linux
openssl     openssl
'
if [[ ${1:-} == --bench ]]; then
  commands+='fio fio'
fi
if [[ ${1:-} == --lvm ]]; then
  commands+='
lvm                     lvm2
thin_check              thin-provisioning-tools
qemu-system-x86_64      qemu-system-x86
/usr/lib/qemu/virtiofsd qemu-system-common
busybox                 busybox-static
depmod                  kmod
nbdkit                  nbdkit
setpriv                 util-linux
'
fi

missing=()
while read -r command package; do
  if [[ -n $command ]] && ! command -v "$command" >/dev/null; then
    missing+=("$package")
  fi
done <<<"$commands"
if [[ ${#missing[@]} -eq 0 ]]; then
  exit 0
fi
mapfile -t packages < <(printf '%s\n' "${missing[@]}" | sort -u)
install="apt-get install -y --no-install-recommends ${packages[*]}"

if [[ ${COFFERDAM_NO_INSTALL:-} == 1 || $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
  echo "Cofferdam needs these Debian packages: ${packages[*]}. Install them with:" >&2
  echo "  apt-get update && $install" >&2
  [[ $(id -u) -eq 0 ]] || echo "as root. Cofferdam itself needs root too." >&2
  exit 1
fi
echo "Cofferdam needs these Debian packages and installs them now: ${packages[*]} (COFFERDAM_NO_INSTALL=1 to refuse)" >&2
export DEBIAN_FRONTEND=noninteractive
# A list that is there may do, and a mirror may be away; only the installation has to succeed.
apt-get update -qq </dev/null >&2 || true
$install -qq -o=Dpkg::Use-Pty=0 -o=DPkg::Lock::Timeout=300 </dev/null >&2
