"""Counts the instructions of one `GET /secure` in user space, as the processor executes them, on Linux.

    python3 tests/bench/steps.py target/release/oauth-from-scratch

It runs the server's only thread one instruction at a time (ptrace, PTRACE_SINGLESTEP) while a client asks 50 and then
150 times, one request after the other, and divides the difference. Unlike valgrind, it counts the instructions that
the processor really has: for SHA-256, for example. It takes some seconds.
"""

import ctypes
import http.client
import json
import re
import subprocess
import sys
import threading

PTRACE_SINGLESTEP, PTRACE_ATTACH = 9, 16
WALL = 0x40000000  # __WALL: waits for a thread, too

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, process):
    if libc.ptrace(request, process, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    libc.waitpid(process, None, WALL)


def ask(connection, method, path, content="", **fields):
    connection.putrequest(method, path, skip_accept_encoding=True)
    if method == "POST":
        fields["Content_Length"] = len(content)
    for name, value in fields.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders(content.encode())
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def token(connection):
    """An access token, as the article's client gets it."""
    origin = f"http://{connection.host}:{connection.port}"
    _, headers, _ = ask(connection, "POST", "/code", Origin=origin, Sec_Fetch_Site="same-origin")
    code = re.search(r"code=([^&]*)", headers["Location"])[1]
    content = json.dumps({"code": code})
    _, _, answer = ask(connection, "POST", "/token", content, Content_Type="application/json")
    return json.loads(answer)["access_token"]


def steps(process, connection, access_token, requests):
    """The instructions of `process` while it answers so many requests."""
    is_over = threading.Event()

    def client():
        for _ in range(requests):
            status, _, _ = ask(connection, "GET", "/secure", Authorization=access_token)
            assert status == 200, status
        is_over.set()

    thread = threading.Thread(target=client)
    thread.start()
    count = 0
    while not is_over.is_set():
        ptrace(PTRACE_SINGLESTEP, process)
        count += 1
    thread.join()
    return count


def main():
    flags = ["--workers", "1", "--client-port", "0", "--auth-port", "0", "--no-wire"]
    with subprocess.Popen([sys.argv[1], *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            lines = [server.stdout.readline() for _ in range(2)]
            connection = http.client.HTTPConnection("localhost", int(lines[1].rsplit(":", 1)[1]))
            access_token = token(connection)
            ptrace(PTRACE_ATTACH, server.pid)
            few, many = (steps(server.pid, connection, access_token, requests) for requests in (50, 150))
            print(f"{(many - few) / 100:.0f} instructions per GET /secure")
        finally:
            server.kill()


if __name__ == "__main__":
    main()
