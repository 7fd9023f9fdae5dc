"""A process that stands for a guard's: it holds memory, and imports nothing."""

from multiprocessing.connection import Connection


def hold(pipe: Connection, mib: int) -> None:
    """Hold so much until told to end."""
    held = bytearray(b"1") * (mib << 20)
    pipe.send(len(held))
    pipe.recv()
