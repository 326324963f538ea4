"""An MCP client made of the Python SDK, unmodified, for tests/it/mcp_clients.rs. It is given the address of an MCP
server and nothing else, or also the URL of a document with its metadata. Prints a line for each step that it has
passed."""

import asyncio
import logging
import re
import sys
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

REDIRECT = "http://localhost:53682/callback"
DOCUMENT = sys.argv[2] if len(sys.argv) > 2 else None
# The SDK prints the trace of every error that it passes on.
logging.disable(logging.CRITICAL)


class Storage:
    """What an application keeps for the SDK."""

    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Browser:
    """A browser as small as the dialog needs: it keeps the cookie and presses the button."""

    def __init__(self):
        self.urls, self.page = [], None

    async def open(self, url):
        self.urls.append(url)
        async with httpx2.AsyncClient() as http:
            dialog = await http.get(url)
            self.page = dialog.text
            if dialog.status_code != 200:
                raise RuntimeError(f"the dialog: {dialog.status_code}")
            sealed = re.search(r'name="request" value="([^"]*)"', dialog.text)[1]
            action = re.search(r'<form method="post" action="([^"]*)"', dialog.text)[1]
            form = {"request": sealed, "decision": "authorize"}
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
            answer = await http.post(urljoin(url, action), data=form, headers={"origin": origin})
        assert answer.status_code == 302, answer.text
        self.answer = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    async def wait(self):
        return AuthorizationCodeResult(code=self.answer["code"], state=self.answer["state"], iss=self.answer["iss"])


def passed(step):
    print(f"passed: {step}", flush=True)


async def call(server, storage, browser, tool, mode, expires=False):
    """One process of the application: it connects, calls a tool and ends. With `expires`, its token expires between."""
    metadata = OAuthClientMetadata(
        client_name="A client in Python",
        redirect_uris=[REDIRECT],
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="none",
    )
    provider = OAuthClientProvider(server, metadata, storage, browser.open, browser.wait, client_metadata_url=DOCUMENT)
    async with httpx2.AsyncClient(auth=provider) as http:
        async with Client(streamable_http_client(server, http_client=http), mode=mode) as client:
            tools = await client.list_tools()
            assert [tool.name for tool in tools.tools] == ["answer", "question"], tools
            if expires:
                provider.context.token_expiry_time = 1
            result = await client.call_tool(tool, {})
            return result.content[0].text, provider


async def main(server):
    for mode in ["auto", "legacy"]:
        storage, browser = Storage(), Browser()
        text, provider = await call(server, storage, browser, "answer", mode)
        found = provider.context.oauth_metadata
        assert found is not None
        passed(f"{mode}: discovery")
        assert storage.client.client_id and storage.client.client_secret is None
        assert DOCUMENT in (None, storage.client.client_id)
        passed(f"{mode}: document" if DOCUMENT else f"{mode}: registration")
        assert len(browser.urls) == 1 and storage.tokens.refresh_token
        passed(f"{mode}: token")
        assert text == "42", text
        passed(f"{mode}: tools/call")

        text, _ = await call(server, storage, browser, "question", mode)
        assert text == "No one has found it yet.", text
        asked = parse_qs(urlsplit(browser.urls[1]).query)
        assert {"answer", "question", "offline_access"} == set(asked["scope"][0].split()), asked
        assert asked["prompt"] == ["consent"], asked
        passed(f"{mode}: step-up")

        old, before = storage.tokens, len(browser.urls)
        text, _ = await call(server, storage, browser, "question", mode, expires=True)
        assert text == "No one has found it yet." and len(browser.urls) == before
        assert storage.tokens.access_token != old.access_token
        passed(f"{mode}: refresh")

        async with httpx2.AsyncClient() as http:
            form = {"token": storage.tokens.refresh_token, "client_id": storage.client.client_id}
            answer = await http.post(str(found.revocation_endpoint), data=form)
            assert answer.status_code == 200, answer.text
        before = len(browser.urls)
        text, _ = await call(server, storage, browser, "answer", mode)
        assert (text, len(browser.urls)) == ("42", before + 1)
        passed(f"{mode}: revocation")

        if DOCUMENT:
            continue
        # This SDK does not forget an identifier by itself; the page says what to do.
        dead = storage.client.client_id[:-4] + "dead"
        storage.client = storage.client.model_copy(update={"client_id": dead})
        storage.tokens = None
        try:
            await call(server, storage, browser, "answer", mode)
            raise AssertionError("a dead identifier is served")
        except (RuntimeError, ExceptionGroup):
            assert "add it again" in browser.page, browser.page
        storage = Storage()
        text, _ = await call(server, storage, browser, "answer", mode)
        assert text == "42", text
        passed(f"{mode}: dead identifier")


asyncio.run(main(sys.argv[1]))
