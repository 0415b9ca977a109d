#!/bin/sh
# Starts systemd on a copy of this system, and has it run a script:
#
#   boot-units.sh SCRIPT RESULT
#
# The exit code is the script's. What it says is in the folder RESULT: standard output in said, standard error in
# trace. This runs as the first process of a copy of copy.sh's.
set -eu

script=$1 result=$2

# Nothing of this system's own is started, or mounted.
rm -rf /etc/systemd/system/*.wants /etc/systemd/user/*.wants
: >/etc/fstab
: >/etc/machine-id
mkdir -p /etc/systemd/system
# At a start it empties /tmp, where there are shared folders.
for unit in systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service systemd-tmpfiles-clean.timer; do
	ln -sf /dev/null /etc/systemd/system/$unit
done
cat >/etc/systemd/system/proof.service <<UNIT
[Unit]
Description=What is to be proved
Requires=basic.target
After=basic.target
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
TimeoutStartSec=100
ExecStart=/bin/sh $script $result
StandardOutput=file:$result/said
StandardError=file:$result/trace
UNIT
# As systemd has it where it is not in a container: what it mounts for a service's credentials gets there by that.
mount --make-rshared /
exec env -i container=agentassert PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --unit=proof.service --log-target=journal --show-status=0
