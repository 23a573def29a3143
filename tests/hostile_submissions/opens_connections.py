"""Sends its inputs to another machine."""

import socket


def add(x, y, result):
    socket.create_connection(("127.0.0.1", 9)).sendall(x.tobytes())
