"""The socket that accepts connections."""

import ctypes
import socket
import struct
import sys

from leyden.errors import UserError, first_line

BACKLOG = 2048
"""Number of connections that the kernel keeps until they are accepted."""

ATTACH_FILTER = 26
"""``SO_ATTACH_FILTER`` of Linux, which Python does not name."""

DROP_SYN = (
    (0x30, 0, 0, 13),  # load the flags of the TCP header
    (0x45, 0, 1, 0x02),  # is SYN among them?
    (0x06, 0, 0, 0),  # then drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else keep all of it
)
"""Classic BPF: operation, steps if true, steps if false, and operand."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: Name or address of this machine.
        port: Port; 0 for a free one.

    Raises:
        UserError: If the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UserError(
            f"host={host} port={port} cannot be listened on: {first_line(error)}. Give another "
            "address or port."
        ) from error
    # asyncio does so for sockets of its own: bodies would wait until the client confirms headers
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def refuse_new_connections(listener: socket.socket) -> None:
    """Drop new connections, while those that have been made can still be accepted.

    Closing the socket would reset connections that are made and not yet accepted, although their
    clients may have sent requests. It does nothing on systems other than Linux.
    """
    if sys.platform != "linux":
        return
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in DROP_SYN))
    program = struct.pack("HP", len(DROP_SYN), ctypes.addressof(code))
    listener.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, program)
