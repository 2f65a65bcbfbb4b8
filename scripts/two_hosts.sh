#!/usr/bin/env bash
# Run a command on hosts that are network namespaces of this machine, by the mpirun on the PATH (MPICH or Open MPI):
#
#   scripts/two_hosts.sh trpo-gail train CartPole-v0 --expert expert_data/CartPole-v0.h5 --out runs/two --rank_timeout 9
#
# HOSTS=4 makes four hosts, RANKS=8 shares eight ranks out among them (without it, each has one). CUT takes the last
# host's link down, LOSE kills all of its processes: so many seconds after the start (CUT=20), or 3 s after a path is
# there (LOSE=runs/two/metrics.csv). UNSHARED=FOLDER gives each host but the first an empty folder in its place. In
# place of ssh, a host is entered by `ip netns exec`, with a hostname of its own. The last line says how long the end
# took after a fault, and how many processes each host has left 10 s after it, before this script kills them.
# Exit code: the command's; 77 if this system makes no namespaces.
set -euo pipefail

count=${HOSTS:-2}
names=() addresses=() listed=
for ((i = 1; i <= count; i++)); do
    names+=("tg$$h$i")
    addresses+=("10.213.7.$i")
done
switch=tg$$s last=${names[-1]}
if ! ip netns add "$switch" 2>/dev/null; then
    echo "two_hosts.sh: no network namespaces here (ip netns add needs root)" >&2
    exit 77
fi
files=$(mktemp -d)
for ((i = 1; i <= count; i++)); do echo "10.213.7.$i host$i"; done >"$files/hosts"
end() {
    jobs -p | xargs -r kill 2>/dev/null || true # a wait for a path that never comes
    for host in "${names[@]}" "$switch"; do
        ip netns pids "$host" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
        ip netns del "$host" 2>/dev/null || true
    done
    rm -rf "$files"
}
trap end EXIT

ip -n "$switch" link add bridge type bridge
ip -n "$switch" link set bridge up
for ((i = 0; i < count; i++)); do
    ip netns add "${names[i]}"
    ip -n "$switch" link add "port$i" type veth peer name net netns "${names[i]}"
    ip -n "$switch" link set "port$i" master bridge up
    ip -n "${names[i]}" address add "${addresses[i]}/24" dev net
    ip -n "${names[i]}" link set net up
    ip -n "${names[i]}" link set lo up
done
cat >"$files/inside" <<END
#!/usr/bin/env bash
# inside NUMBER COMMAND...: as the host of this number. (ip netns exec has made mounts that only this command sees.)
number=\$1
shift
hostname "host\$number"
mount --bind "$files/hosts" /etc/hosts
if [[ \$number != 1 && -n "${UNSHARED:-}" ]]; then mount -t tmpfs none "${UNSHARED:-}"; fi
exec "\$@"
END
cat >"$files/shell" <<END
#!/usr/bin/env bash
# As ssh: [options] HOST COMMAND...
while [[ \$1 == -* ]]; do shift; done
number=\${1##*[.t]}
shift
code=0
ip netns exec tg$$h\$number unshare --uts "$files/inside" \$number bash -c "\$*" || code=\$?
exit \$((code > 128 ? 255 : code)) # this end stays when that host is lost, and then says 255
END
chmod +x "$files/shell" "$files/inside"

when() { # seconds, or a path
    if [[ $1 =~ ^[0-9.]+$ ]]; then
        sleep "$1"
    else
        until [[ -e $1 ]]; do sleep 0.2; done
        sleep 3
    fi
    date +%s.%N >"$files/fault"
}
if [[ ${CUT:-} ]]; then (when "$CUT" && ip -n "$switch" link set "port$((count - 1))" down) & fi
if [[ ${LOSE:-} ]]; then (when "$LOSE" && ip netns pids "$last" | xargs -r kill -KILL) & fi

ranks=${RANKS:-$count}
each=$(((ranks + count - 1) / count))
hosts=$(IFS=,; echo "${addresses[*]}")
if mpirun --version 2>&1 | grep -qi 'open.mpi'; then
    for ((i = 1; i <= count; i++)); do listed+=",host$i:$each"; done
    # mpirun must miss a dead host before the ranks abort: afterwards it waits for that host to confirm it, for minutes.
    alive=(--prtemca oob_tcp_keepalive_time 2 --prtemca oob_tcp_keepalive_intvl 1 --prtemca oob_tcp_keepalive_probes 2)
    # Hosts do not know that they share cores, so that their ranks would spin as they wait: they are to yield.
    start=(mpirun --allow-run-as-root --map-by "ppr:$each:node:OVERSUBSCRIBE" --prtemca plm_ssh_agent "$files/shell"
        "${alive[@]}" --prtemca prte_if_include 10.213.7.0/24
        --mca mpi_yield_when_idle 1 --mca pml ob1 --mca btl "tcp,self" --mca btl_tcp_if_include 10.213.7.0/24
        --host "${listed:1}" -n "$ranks")
else # without shared memory, by which hosts cannot talk
    export FI_PROVIDER=tcp UCX_TLS=tcp,self
    start=(mpirun -launcher ssh -launcher-exec "$files/shell" -hosts "$hosts" -iface net -ppn "$each" -n "$ranks")
fi
code=0
ip netns exec "${names[0]}" unshare --uts "$files/inside" 1 "${start[@]}" "$@" || code=$?
if [[ -s $files/fault ]]; then
    took=$(echo "$(date +%s.%N) $(cat "$files/fault")" | awk '{printf "%.1f", $1 - $2}')
    left=""
    for _ in $(seq 100); do
        left=""
        for host in "${names[@]}"; do left+=" $(ip netns pids "$host" | wc -l)"; done
        [[ $left =~ [1-9] ]] || break
        sleep 0.1
    done
    echo "two_hosts.sh: ended $took s after the fault; processes left, by host:$left" >&2
fi
exit $code
