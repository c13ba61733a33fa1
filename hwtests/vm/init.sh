#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The first process of the machine: the host's files under an overlay, then the one command it is for.
# The kernel's arguments name what differs from machine to machine: shunt.out, shunt.modules.

/bin/busybox --install -s /bin

end()
{
	echo "shunt-vm: $*" >/dev/ttyS0
	busybox reboot -f
}

must()
{
	"$@" || end "failed: $*"
}

mkdir -p /proc /sys /dev /host /over /new /sbin
must mount -t proc proc /proc
must mount -t devtmpfs dev /dev
echo "shunt-vm: begins" >/dev/ttyS0

read -r arguments </proc/cmdline
for argument in $arguments; do
	case $argument in
	shunt.out=*) out=${argument#*=} ;;
	shunt.modules=*) modules=${argument#*=} ;;
	esac
done

while read -r module; do
	must insmod "/modules/$module"
done </modules/list

nine=trans=virtio,version=9p2000.L,msize=512000
must mount -t 9p -o "$nine,ro,cache=loose" host /host
must mount -t tmpfs over /over
mkdir /over/upper /over/work
must mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work root /new
must mount -t proc proc /new/proc
must mount -t sysfs sys /new/sys
must mount -t devtmpfs dev /new/dev
must mount -t bpf bpf /new/sys/fs/bpf
must mount -t debugfs debug /new/sys/kernel/debug
must mount -t tmpfs run /new/run
mkdir -p /new/usr/lib/modules
must mount --bind "/new$modules" /new/usr/lib/modules
must mount -t 9p -o "$nine,cache=none" out "/new$out"

# The kernel asks for modules from here, outside of the new root.
printf '#!/bin/sh\nexec chroot /new /sbin/modprobe "$@"\n' >/sbin/modprobe
chmod 755 /sbin/modprobe

chroot /new /bin/sh "$out/command" </dev/null >"/new$out/output" 2>&1
end "exit status $?"
