"""A command-line app: the browser comes back to a port that is free. Python's standard library is enough."""

import base64
import hashlib
import http.server
import json
import secrets
import sys
import urllib.parse
import urllib.request
import webbrowser

ISSUER = "http://localhost:3001"
CLIENT_ID = "command-line-app"


class Callback(http.server.BaseHTTPRequestHandler):
    """Records the query with which the browser comes back."""

    def do_GET(self):
        path, _, query = self.path.partition("?")
        is_answer = path == "/callback"
        if is_answer:
            self.server.answer = dict(urllib.parse.parse_qsl(query))
        self.send_response(200 if is_answer else 404)
        self.end_headers()
        self.wfile.write(b"Go back to the terminal.")

    def log_message(self, *_):
        """Logs nothing: the code is in the path."""


def fetch(url, form=None, headers=None):
    data = urllib.parse.urlencode(form).encode() if form else None
    with urllib.request.urlopen(urllib.request.Request(url, data, headers or {})) as response:
        return json.load(response)


metadata = fetch(f"{ISSUER}/.well-known/oauth-authorization-server")
server = http.server.HTTPServer(("127.0.0.1", 0), Callback)
redirect_uri = f"http://127.0.0.1:{server.server_port}/callback"
verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
digest = hashlib.sha256(verifier.encode()).digest()
query = urllib.parse.urlencode({
    "response_type": "code",
    "client_id": CLIENT_ID,
    "redirect_uri": redirect_uri,
    "scope": "answer",
    "state": state,
    "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    "code_challenge_method": "S256",
})
url = f"{metadata['authorization_endpoint']}?{query}"
print(f"Open {url}", flush=True)
webbrowser.open(url)

server.answer = None
while server.answer is None:
    server.handle_request()
answer = server.answer
if answer.get("state") != state or answer.get("iss") != ISSUER:
    sys.exit("This is not the answer to this request.")
if "code" not in answer:
    sys.exit(f"No code: {answer.get('error')}")

tokens = fetch(metadata["token_endpoint"], {
    "grant_type": "authorization_code",
    "client_id": CLIENT_ID,
    "code": answer["code"],
    "redirect_uri": redirect_uri,
    "code_verifier": verifier,
})
secure = fetch(f"{ISSUER}/secure", headers={"Authorization": f"Bearer {tokens['access_token']}"})
print("The secret answer is", secure["answer"])
