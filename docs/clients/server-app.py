"""A server app with a secret. Its tokens never leave the server: a browser has the cookie of a session, no more.

Python's standard library is enough: python3 server-app.py
"""

import base64
import hashlib
import http.cookies
import http.server
import json
import pathlib
import secrets
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

CONFIG = json.loads(pathlib.Path(__file__).with_name("server-app.json").read_text())
ISSUER = CONFIG["issuer"]
REDIRECT_URI = urllib.parse.urlsplit(CONFIG["redirect_uri"])

# What each browser has here, by its cookie. Strangers may begin sessions, so there is a bound; the oldest one ends.
SESSIONS_MAX = 1000
sessions = {}
# One request at a time, so that no refresh token is sent twice.
lock = threading.Lock()


def fetch(url, form=None, headers=None):
    data = urllib.parse.urlencode(form).encode() if form else None
    with urllib.request.urlopen(urllib.request.Request(url, data, headers or {})) as response:
        return json.loads(response.read() or "null")


metadata = fetch(f"{ISSUER}/.well-known/oauth-authorization-server")
if metadata["issuer"] != ISSUER:
    sys.exit("These are the metadata of another server.")


def send_form(endpoint, **form):
    """Sends a form as this client, which authenticates with its secret (RFC 6749, 2.3.1)."""
    pair = ":".join(urllib.parse.quote(CONFIG[name], safe="") for name in ("client_id", "client_secret"))
    credentials = base64.b64encode(pair.encode()).decode()
    return fetch(metadata[endpoint], form, {"Authorization": f"Basic {credentials}"})


def get_secure(session):
    """Gets the protected resource. An expired access token is replaced first, and its refresh token with it."""
    def get():
        token = session["tokens"]["access_token"]
        return fetch(f"{ISSUER}/secure", headers={"Authorization": f"Bearer {token}"})
    try:
        return get()
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
    refresh_token = session["tokens"]["refresh_token"]
    session["tokens"] = send_form("token_endpoint", grant_type="refresh_token", refresh_token=refresh_token)
    return get()


class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        pages = {"/": self.home, "/sign-in": self.sign_in, "/callback": self.callback}
        with lock:
            page = pages.get(url.path)
            if page:
                page(dict(urllib.parse.parse_qsl(url.query)))
            else:
                self.reply(404, "Not found.")

    def do_POST(self):
        # The form of another site comes without the cookie, which is SameSite=Lax.
        with lock:
            if self.path == "/sign-out":
                self.sign_out()
            else:
                self.reply(404, "Not found.")

    def home(self, _):
        session = sessions.get(self.session_id())
        if not session or "tokens" not in session:
            return self.reply(200, '<a href="/sign-in">Sign in</a>')
        try:
            answer = get_secure(session)["answer"]
        except urllib.error.HTTPError:
            del sessions[self.session_id()]
            return self.reply(200, 'Access has ended. <a href="/sign-in">Sign in again</a>')
        form = '<form method="post" action="/sign-out"><button>Sign out</button></form>'
        self.reply(200, f"The secret answer is {answer} {form}")

    def sign_in(self, _):
        verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = urllib.parse.urlencode({
            "response_type": "code",
            "client_id": CONFIG["client_id"],
            "redirect_uri": CONFIG["redirect_uri"],
            "scope": "answer",
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        })
        cookie = self.begin_session({"flow": (state, verifier)})
        self.redirect(f"{metadata['authorization_endpoint']}?{query}", cookie)

    def callback(self, answer):
        # A flow belongs to the browser that began it, and ends with its first answer.
        state, verifier = sessions.get(self.session_id(), {}).pop("flow", (None, None))
        if state is None:
            return self.reply(400, "No answer: this browser has begun no flow.")
        if answer.get("state") != state or answer.get("iss") != ISSUER:
            return self.reply(400, "No answer: this is not the answer to this request.")
        if "code" not in answer:
            return self.reply(400, 'No access was given. <a href="/">Back</a>')
        try:
            tokens = send_form("token_endpoint", grant_type="authorization_code", code=answer["code"],
                               redirect_uri=CONFIG["redirect_uri"], code_verifier=verifier)
        except urllib.error.HTTPError:
            return self.reply(400, 'No answer: the code is not valid. <a href="/">Back</a>')
        # Signed in under another cookie, so that one from before is worth nothing.
        del sessions[self.session_id()]
        self.redirect("/", self.begin_session({"tokens": tokens}))

    def sign_out(self):
        session = sessions.pop(self.session_id(), {})
        if "tokens" in session:
            send_form("revocation_endpoint", token=session["tokens"]["refresh_token"])
        self.redirect("/")

    def session_id(self):
        cookie = http.cookies.SimpleCookie(self.headers.get("Cookie", "")).get("session")
        return cookie and cookie.value

    def begin_session(self, session):
        session_id = secrets.token_urlsafe(32)
        sessions[session_id] = session
        if len(sessions) > SESSIONS_MAX:
            del sessions[next(iter(sessions))]
        # On https, add Secure.
        return f"session={session_id}; HttpOnly; SameSite=Lax; Path=/"

    def redirect(self, location, cookie=None):
        self.send_response(302)
        self.send_header("Location", location)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()

    def reply(self, status, html):
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(html.encode())

    def log_message(self, *_):
        """Logs nothing: the code is in the path."""


server = http.server.ThreadingHTTPServer((REDIRECT_URI.hostname, REDIRECT_URI.port), App)
print(f"Open {REDIRECT_URI.scheme}://{REDIRECT_URI.netloc}/", flush=True)
server.serve_forever()
