#!/bin/sh
# Runs a command on a copy of this system, where it can change and start what it likes:
#
#   copy.sh FOLDERS COMMAND [ARGUMENT...]
#
# The copy is an overlay in memory over the root file system, with processes, mounts, network and control
# groups of its own, of all of which nothing is left. FOLDERS, which a blank separates, are shared with it.
# The command is its first process, and its exit code is this script's. It is 77, and said why, where the
# system does not allow of a copy.
set -eu

cannot() {
	echo "deploy: no copy of this system can be made: $*" >&2
	exit 77
}

# Inside of the namespaces: the copy is put together.
if [ "${1-}" = --inside ]; then
	folders=$2
	shift 2
	ip link set lo up
	# In memory, in a folder that is empty everywhere.
	mount -t tmpfs -o size=2g,mode=700 copy /mnt
	mkdir /mnt/upper /mnt/work /mnt/root
	mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
	root=/mnt/root
	mount -t proc proc $root/proc
	mount -t sysfs -o ro sysfs $root/sys
	mount -t tmpfs -o mode=755 tmpfs $root/sys/fs/cgroup
	mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
	mount -t tmpfs -o mode=755 tmpfs $root/run
	mount -t tmpfs -o mode=755 tmpfs $root/dev
	for device in null zero full random urandom tty; do
		touch $root/dev/$device
		mount --bind /dev/$device $root/dev/$device
	done
	ln -s /proc/self/fd $root/dev/fd
	mkdir $root/dev/shm $root/dev/pts
	mount -t tmpfs -o mode=1777 tmpfs $root/dev/shm
	mount -t devpts -o newinstance,ptmxmode=0666 devpts $root/dev/pts
	ln -s pts/ptmx $root/dev/ptmx
	for folder in $folders; do
		mkdir -p "$root$folder"
		mount --rbind "$folder" "$root$folder"
	done
	# Not by chroot: who is in one gets no user namespace.
	cd $root
	pivot_root . mnt
	umount --lazy /mnt
	cd /
	exec "$@"
fi

folders=$1
shift
[ "$(uname)" = Linux ] || cannot "this is not Linux"
[ "$(id -u)" = 0 ] || cannot "this does not run as root"
for program in unshare ip; do
	command -v $program >/dev/null || cannot "$program is missing"
done
hierarchy=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$hierarchy" ] || cannot "there are no control groups of version 2"
unshare --mount --pid --fork --net --ipc --uts --cgroup \
	sh -c 'mount -t tmpfs copy /mnt && mkdir /mnt/upper /mnt/work && mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt' 2>/dev/null ||
	cannot "the system has no namespaces, or no overlays"

# A control group of its own, so that those of the copy are below it.
group=$hierarchy/agentassert-copy-$$
mkdir "$group" || cannot "no control group can be made"
# Its processes have ended with the first one.
trap 'find "$group" -depth -type d -exec rmdir {} \;' EXIT
trap 'exit 130' INT TERM
code=0
# shellcheck disable=SC2016 # the other shell's
sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' - "$group" \
	unshare --mount --pid --fork --kill-child --net --ipc --uts --cgroup --propagation private \
	sh "$0" --inside "$folders" "$@" || code=$?
exit $code
