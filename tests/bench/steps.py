"""Counts the instructions of one `GET /secure` in user space, as the processor executes them, on Linux.

    python3 tests/bench/steps.py target/release/oauth-from-scratch

It runs the server's only thread one instruction at a time (ptrace, PTRACE_SINGLESTEP) while a client asks, one request
after the other. Unlike valgrind, it counts the instructions that the processor really has: for SHA-256, for example. It
takes half a minute.
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


class Client(threading.Thread):
    """Asks for `/secure` without end, so that the server never waits while it is counted."""

    def __init__(self, connection, access_token):
        super().__init__(daemon=True)
        self.connection, self.access_token, self.answered = connection, access_token, 0

    def run(self):
        try:
            while ask(self.connection, "GET", "/secure", Authorization=self.access_token)[0] == 200:
                self.answered += 1
        except (OSError, http.client.HTTPException):
            pass  # The server was killed, which is the end.


def steps(process, client, answers):
    """The instructions of `process` until `client` has had so many answers more."""
    count, enough = 0, client.answered + answers
    while client.answered < enough and client.is_alive():
        ptrace(PTRACE_SINGLESTEP, process)
        count += 1
    if not client.is_alive():
        sys.exit("the server does not answer 200")
    return count


def main():
    flags = ["--workers", "1", "--client-port", "0", "--auth-port", "0", "--no-wire"]
    with subprocess.Popen([sys.argv[1], *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            lines = [server.stdout.readline() for _ in range(2)]
            connection = http.client.HTTPConnection("localhost", int(lines[1].rsplit(":", 1)[1]))
            client = Client(connection, token(connection))
            ptrace(PTRACE_ATTACH, server.pid)
            client.start()
            steps(server.pid, client, 10)
            print(f"{steps(server.pid, client, 50) / 50:.0f} instructions per GET /secure")
        finally:
            server.kill()


if __name__ == "__main__":
    main()
