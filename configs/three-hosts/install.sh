#!/bin/sh
# Installs gossipd on hosts, or a newer one, host after host: each has to be ready before the next
# one is touched, so that clients with two addresses notice nothing.
#
#   configs/three-hosts/install.sh 10.0.0.1 10.0.0.2 10.0.0.3
#
# Run it in a checkout. Each host is a Debian with python3-venv, and lets you in by ssh, with sudo.
# The tokens that the API asks for are in configs/three-hosts/tokens, by their digests: everybody
# on the hosts may read that file.
set -eu
[ $# -gt 0 ] || { echo "usage: $0 HOST…" >&2; exit 2; }
cd "$(dirname "$0")/../.."
[ -f configs/three-hosts/tokens ] || { echo "write configs/three-hosts/tokens first" >&2; exit 2; }

for host; do
    echo "$host: installing"
    source=$(
        tar -cz pyproject.toml README.md LICENSE gossipd systemd configs/three-hosts |
            ssh "$host" 'source=$(mktemp -d) && tar -xzC "$source" && echo "$source"'
    )
    ssh "$host" sudo sh -eu -s "$source" <<'END'
[ -x /opt/gossipd/bin/pip ] || python3 -m venv /opt/gossipd
/opt/gossipd/bin/pip install --quiet --force-reinstall "$1"
ln -sf /opt/gossipd/bin/gossipd /usr/local/bin/gossipd
install -D -m 644 "$1/configs/three-hosts/gossipd.toml" /etc/gossipd/gossipd.toml
install -m 644 "$1/configs/three-hosts/tokens" /etc/gossipd/tokens
echo GOSSIPD_RUN_CONFIG=/etc/gossipd/gossipd.toml >/etc/default/gossipd
/opt/gossipd/bin/gossipd systemd-unit >/etc/systemd/system/gossipd.service
rm -r "$1"
systemctl daemon-reload
systemctl enable --quiet gossipd
systemctl restart gossipd
export GOSSIPD_API=unix:/run/gossipd/api.sock
for _ in $(seq 60); do
    if gossipd status | grep -q '^ready[^a-z]*yes'; then exit 0; fi
    sleep 1
done
echo "not ready after a minute:" >&2
gossipd status >&2
exit 1
END
    echo "$host: ready"
done
