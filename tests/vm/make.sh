#!/bin/sh
# Makes a virtual machine of Debian with systemd, in which a user `dev` may log in by ssh, and starts it: for what needs another kernel, a real systemd or
# control groups of version 2. Needs root, qemu-system-x86 and mmdebstrap; without KVM it is slow.
#
#   tests/vm/make.sh FOLDER [SUITE]     then: ssh -i FOLDER/key -p 2222 dev@127.0.0.1
set -eu
folder=$1 suite=${2:-bookworm}
mkdir -p "$folder"
cd "$folder"
[ -e key ] || ssh-keygen -q -t ed25519 -N '' -f key
if [ ! -e disk.img ]; then
    # shellcheck disable=SC2016 # for the hook's shell
    mmdebstrap --variant=minbase \
        --include=linux-image-cloud-amd64,systemd-sysv,dbus-user-session,libpam-systemd,uidmap,passt,fuse3,iproute2,openssh-server,procps \
        --customize-hook='chroot "$1" useradd -m -s /bin/bash dev' \
        --customize-hook='mkdir -p "$1/root/.ssh" "$1/home/dev/.ssh" "$1/var/lib/systemd/linger"' \
        --customize-hook='cp key.pub "$1/root/.ssh/authorized_keys"; cp key.pub "$1/home/dev/.ssh/authorized_keys"' \
        --customize-hook='chroot "$1" chown -R dev:dev /home/dev/.ssh; touch "$1/var/lib/systemd/linger/dev"' \
        --customize-hook='printf "[Match]\nName=en*\n[Network]\nDHCP=yes\n" >"$1/etc/systemd/network/en.network"' \
        --customize-hook='chroot "$1" systemctl enable systemd-networkd; echo "/dev/vda / ext4 defaults 0 1" >"$1/etc/fstab"' \
        "$suite" root.tar
    mkdir tree
    tar -C tree -xf root.tar
    cp tree/boot/vmlinuz-* kernel
    cp tree/boot/initrd.img-* initrd
    truncate -s 6G disk.img
    mke2fs -q -t ext4 -d tree disk.img
    rm -rf tree root.tar
fi
acceleration=
[ ! -w /dev/kvm ] || acceleration=-enable-kvm
# shellcheck disable=SC2086 # one word or none
exec qemu-system-x86_64 $acceleration -machine q35 -cpu max -smp 2 -m 2048 -nographic -kernel kernel -initrd initrd \
    -append 'root=/dev/vda rw console=ttyS0 quiet' -drive file=disk.img,if=virtio,format=raw \
    -netdev user,id=n,hostfwd=tcp:127.0.0.1:2222-:22 -device virtio-net-pci,netdev=n -device virtio-rng-pci
