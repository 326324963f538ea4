"""An MCP server with one tool, for clients with a token of the authorization server.

Python's standard library is enough: python3 server.py
"""

import base64
import http.client
import http.server
import json
import urllib.parse
import urllib.request

ISSUER = "http://localhost:3001"
RESOURCE = "http://localhost:4000/mcp"
CLIENT_ID = "mcp-server"
CLIENT_SECRET = "UEBJlzDnIDhFzf5f46UHf_jIpqWWINgSf6tVnSHjGvEQBY3LLFU5Zu_zijPLxMaj"
SCOPE = "answer"

HOST, PATH = urllib.parse.urlsplit(RESOURCE)[1:3]
# By this document a client finds the authorization server (RFC 9728, 3.1).
METADATA_PATH = "/.well-known/oauth-protected-resource" + PATH
METADATA = {"resource": RESOURCE, "authorization_servers": [ISSUER], "scopes_supported": [SCOPE]}
VERSIONS = ["2025-11-25", "2025-06-18"]
TOOL = {"name": "answer", "description": "The secret answer.", "inputSchema": {"type": "object"}}


def introspect(token):
    """Asks the authorization server about a token (RFC 7662). Each time, so that a revoked one ends at once."""
    pair = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    form = urllib.parse.urlencode({"token": token}).encode()
    request = urllib.request.Request(f"{ISSUER}/introspect", form, {"Authorization": f"Basic {pair}"})
    with urllib.request.urlopen(request, timeout=5) as response:
        described = json.load(response)
    if not isinstance(described, dict) or not isinstance(described.get("active"), bool):
        raise ValueError("this does not describe a token")
    return described


def is_valid_here(described):
    """Whether it is a live access token, and for this server: one for another must not work here."""
    audience = described.get("aud", [])
    audience = [audience] if isinstance(audience, str) else audience
    return described["active"] and described.get("token_type") == "Bearer" and RESOURCE in audience


def answer_to(message):
    """The result or the error of a request."""
    method, params = message.get("method"), message.get("params") or {}
    if method == "initialize":
        asked = params.get("protocolVersion")
        version = asked if asked in VERSIONS else VERSIONS[0]
        info = {"name": "my-mcp-server", "version": "1"}
        return {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}}
    if method == "ping":
        return {"result": {}}
    if method == "tools/list":
        return {"result": {"tools": [TOOL]}}
    if method == "tools/call" and params.get("name") == TOOL["name"]:
        return {"result": {"content": [{"type": "text", "text": "42"}], "isError": False}}
    return {"error": {"code": -32601, "message": "There is no such method or tool."}}


class McpServer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == METADATA_PATH:
            return self.reply(200, METADATA)
        self.reply(405 if self.path == PATH else 404)

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if self.path != PATH:
            return self.reply(404)
        # A page whose name points at this machine (DNS rebinding) sends its own name.
        if self.headers.get("Host") != HOST:
            return self.reply(403)
        # At most 99,999 bytes.
        if not length.isdecimal() or len(length) > 5:
            return self.reply(413)
        content = self.rfile.read(int(length))
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return self.challenge(401)
        try:
            described = introspect(token)
        except (OSError, ValueError, http.client.HTTPException):
            # There was no answer, or none that can be trusted: no request goes through.
            return self.reply(503)
        if not is_valid_here(described):
            return self.challenge(401, "invalid_token")
        if SCOPE not in described.get("scope", "").split():
            return self.challenge(403, "insufficient_scope")
        try:
            message = json.loads(content)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            return self.reply(400)
        # A notification gets no answer.
        if "id" not in message:
            return self.reply(202)
        self.reply(200, {"jsonrpc": "2.0", "id": message["id"], **answer_to(message)})

    def challenge(self, status, error=None):
        """Says what is missing, and where to get it (RFC 6750, 3; RFC 9728, 5.1)."""
        metadata = urllib.parse.urljoin(RESOURCE, METADATA_PATH)
        start = f'error="{error}", ' if error else ""
        self.reply(status, fields={
            "WWW-Authenticate": f'Bearer {start}resource_metadata="{metadata}", scope="{SCOPE}"',
        })

    def reply(self, status, content=None, fields={}):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        if content is not None:
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        if content is not None:
            self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        """Logs nothing."""


server = http.server.ThreadingHTTPServer(("localhost", 4000), McpServer)
print(f"Listening at {RESOURCE}", flush=True)
server.serve_forever()
