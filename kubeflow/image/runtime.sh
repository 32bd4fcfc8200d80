#!/bin/sh
# Stage runtime: Python, certificates, the user; no file that gives rights, none that anyone may write.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends ca-certificates python3
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /var/lib/dpkg/*-old /var/log/*.log /var/log/apt

groupadd --gid 1000 graft
useradd --uid 1000 --gid 1000 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin graft
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/.pwd.lock

# A builder that sets all times to one (SOURCE_DATE_EPOCH) makes bytecode stale that goes by them.
python3 -B -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3.*

find / -xdev -type f -perm /6000 -exec chmod a-s {} +
find / -xdev \( -type f -o -type d \) -perm -0002 ! -perm -1000 -exec chmod o-w {} +
