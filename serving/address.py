"""Addresses of servers: what gRPC would try in vain, and what to do where nothing of use answers."""

MOST_PORT = 65535

_ADVICE = {
    "http1.x server": "this port speaks HTTP, as REST does; give the gRPC port (of `graft serve`: 8500)",
    "parsing HTTP/2": "what listens there speaks no gRPC; give the gRPC port (of `graft serve`: 8500)",
    "Connection refused": "no server listens there; `graft serve` starts one",
    "DNS resolution failed": "no machine of that name is known",
    "Servable not found": "the server has no such model; `graft models list` names those of a store",
}
"""What to do, by a part of what gRPC or the server says."""


def fault_of(address: str) -> str:
    """Why gRPC would try an address for long, and in vain: a URL, no port, or one that there cannot be; else empty."""
    if address.lower().startswith(("http://", "https://")):
        return f"{address}: gRPC takes no URL; give HOST:PORT with the gRPC port (of `graft serve`: 8500, REST: 8501)"
    if "/" in address or address.startswith(("unix:", "dns:", "ipv4:", "ipv6:", "xds:")):
        return ""  # a name as gRPC has them
    port = address.rpartition(":")[2] if ":" in address else ""
    if not port.isdecimal() or not 0 < int(port) <= MOST_PORT:
        return f"{address}: received the port {port!r}; give HOST:PORT, PORT from 1 to {MOST_PORT}"
    return ""


def advice_on(details: str) -> str:
    """What to do about what gRPC or the server says of a call; empty where nothing is known of it."""
    return next((advice for sign, advice in _ADVICE.items() if sign in details), "")
