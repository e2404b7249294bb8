#!/bin/busybox sh
# The first process of a guest that has Debian on its disk: mounts that, and
# leaves the agent and what else is given in /run, so that nothing of the lab is
# on the disk.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
modprobe -a virtio_pci virtio_blk virtio_net ext4
until [ -b /dev/vda ]; do sleep 0.1; done
mount -t ext4 -o noatime /dev/vda /mnt
mount -t tmpfs -o mode=755 tmpfs /mnt/run

cp /bin/agent /mnt/run/agent
[ ! -d /given ] || cp -r /given /mnt/run/given
units=/mnt/run/systemd/system
mkdir -p $units/multi-user.target.wants
# DKMS strips debug information, which takes long to make under emulation: it is
# not made.
cat >$units/agent.service <<END
[Unit]
Description=What the host asks for
[Service]
ExecStart=/run/agent /dev/ttyS1
Environment=HOME=/root LANG=C.UTF-8 KCFLAGS=-g0
LimitNOFILE=65536
KillMode=process
END
ln -s ../agent.service $units/multi-user.target.wants/

umount /proc /sys
mount --move /dev /mnt/dev
exec switch_root /mnt /sbin/init
