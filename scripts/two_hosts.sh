#!/usr/bin/env bash
# Run a command on two hosts that are network namespaces of this machine, by MPICH's mpirun, one rank on each:
#
#   scripts/two_hosts.sh trpo-gail train CartPole-v0 --expert expert_data/CartPole-v0.h5 --out runs/two --rank_timeout 10
#
# CUT=20 takes the link between them down 20 s after the start; LOSE=20 kills all of the second host's processes. In place of
# ssh, a rank's host is entered by `ip netns exec`. Exit code: the command's; 77 if this system makes no namespaces.
set -euo pipefail

a=tg$$a b=tg$$b
if ! ip netns add $a 2>/dev/null; then
    echo "two_hosts.sh: no network namespaces here (ip netns add needs root)" >&2
    exit 77
fi
shell=$(mktemp)
end() {
    for host in $a $b; do
        ip netns pids $host 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
        ip netns del $host 2>/dev/null || true
    done
    rm -f "$shell"
}
trap end EXIT

ip netns add $b
ip -n $a link add to_b type veth peer name to_a netns $b
for side in "$a to_b 10.213.7.1" "$b to_a 10.213.7.2"; do
    read -r host link address <<<"$side"
    ip -n "$host" address add "$address/24" dev "$link"
    ip -n "$host" link set "$link" up
    ip -n "$host" link set lo up
done
cat >"$shell" <<END
#!/usr/bin/env bash
# As ssh: [options] HOST COMMAND...
while [[ \$1 == -* ]]; do shift; done
if [[ \$1 == 10.213.7.1 ]]; then host=$a; else host=$b; fi
shift
exec ip netns exec \$host bash -c "\$*"
END
chmod +x "$shell"

if [[ ${CUT:-} ]]; then (sleep "$CUT" && ip -n $a link set to_b down) & fi
if [[ ${LOSE:-} ]]; then (sleep "$LOSE" && ip netns pids $b | xargs -r kill -KILL) & fi
code=0
# Without shared memory, by which two hosts cannot talk.
FI_PROVIDER=tcp UCX_TLS=tcp,self ip netns exec $a mpirun -launcher ssh -launcher-exec "$shell" -hosts 10.213.7.1,10.213.7.2 -iface to_b -ppn 1 -n 2 "$@" ||
    code=$?
exit $code
