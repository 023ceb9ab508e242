"""Who may become the primary when there is none."""

from collections.abc import Mapping

from carnelian_operator.dataplane.state import Server


def best_candidate(servers: Mapping[str, Server], preferred: list[str]) -> str | None:
    """The pod whose data is the newest as far as anyone can know.

    Args:
        servers: The servers that may be chosen, by pod.
        preferred: Who was the primary last, by falling trust: what the Sentinels say, then what the status says.

    A former primary that holds data is right unless another server provably has more of the same history. Offsets of
    different histories cannot be compared; then more keys win, and last the lowest ordinal. A server without keys is
    never chosen while another has some.
    """
    holders = {pod: server for pod, server in servers.items() if server.keys > 0} or dict(servers)
    for pod in preferred:
        if pod in holders:
            return _newest_of_history(pod, holders)
    return max(holders, key=lambda pod: _rank(pod, holders[pod]), default=None)


def _newest_of_history(pod: str, servers: Mapping[str, Server]) -> str:
    mine = servers[pod]
    ahead = {
        other: server
        for other, server in servers.items()
        if server.shares_history(mine) and server.offset > mine.offset and server.replid == mine.replid
    }
    return max(ahead, key=lambda other: _rank(other, ahead[other]), default=pod)


def _rank(pod: str, server: Server) -> tuple[int, int, int]:
    return (server.offset, server.keys, -int(pod.rpartition("-")[2]))


def would_lose_data(source: Server, replica: Server) -> bool:
    """Whether following `source` would replace a replica's data by nothing, for no reason that history gives."""
    return source.keys == 0 and replica.keys > 0 and not source.shares_history(replica)
