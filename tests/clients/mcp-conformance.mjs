// The Model Context Protocol's own conformance suite, unmodified, for tests/it/mcp_clients.rs. Takes the address of an
// MCP server, whose authorization server has the same origin. Prints a line for each scenario: what it is called, and
// the checks that did not succeed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arrive, authorize, freePort } from './form-clicker.mjs';

const serverUrl = new URL(process.argv[2]);
const issuer = serverUrl.origin;
const suite = new URL('node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url);
const port = await freePort();
const redirectUri = `http://127.0.0.1:${port}/callback`;

// The scenarios for a server with the methods and tools of the demo. The others need a server made for the suite.
const scenarios = {
  '2025-11-25': ['server-initialize', 'ping', 'tools-list', 'dns-rebinding-protection'],
  '2026-07-28': ['server-stateless', 'tools-list', 'caching', 'dns-rebinding-protection', 'http-header-validation'],
};

/** Runs a command of the suite; gives what it found, by scenario. `onOutput` is given all output so far. */
async function run(kind, words, onOutput = () => {}) {
  const folder = await mkdtemp(join(tmpdir(), 'conformance-'));
  const child = spawn(process.execPath, [suite.pathname, kind, '--output-dir', folder, ...words], { timeout: 300_000 });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { output += data; onOutput(output); });
  // Its status says whether all scenarios succeeded, those that the demo is not made for included.
  await new Promise((resolve) => { child.on('close', resolve); });
  const found = new Map();
  for (const name of await readdir(folder)) {
    const scenario = name.match(/^(?:authorization-server|server)-(.*)-\d{4}-\d\d-\d\dT/)[1];
    found.set(scenario, JSON.parse(await readFile(join(folder, name, 'checks.json'))));
  }
  await rm(folder, { recursive: true });
  return { found, output };
}

function report(title, checks) {
  const findings = checks.filter(({ status }) => !['SUCCESS', 'INFO'].includes(status)).map(({ id }) => id);
  assert.ok(checks.some(({ status }) => status === 'SUCCESS'), title);
  console.log(`passed: ${title}${findings.length ? `, but for ${findings.join(', ')}` : ''}`);
}

async function register() {
  const body = JSON.stringify({ redirect_uris: [redirectUri], token_endpoint_auth_method: 'none' });
  const headers = { 'content-type': 'application/json' };
  return (await (await fetch(`${issuer}/register`, { method: 'POST', headers, body })).json()).client_id;
}

/** The suite's server scenarios send no token: a proxy adds one, and has the server's name and not its own. */
async function withToken(token, use) {
  const proxy = http.createServer((request, response) => {
    const { host, origin, ...headers } = request.headers;
    const named = (value) => value?.replace(`localhost:${proxy.address().port}`, serverUrl.host);
    headers.host = named(host);
    if (origin) headers.origin = named(origin);
    headers.authorization = `Bearer ${token}`;
    const options = { port: serverUrl.port, path: request.url, method: request.method, headers };
    const onward = http.request(options, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  await new Promise((resolve) => { proxy.listen(0, 'localhost', resolve); });
  await use(`http://localhost:${proxy.address().port}${serverUrl.pathname}`);
  proxy.close();
}

/** A token for the MCP server. */
async function accessToken(clientId) {
  const verifier = randomBytes(32).toString('base64url');
  const url = new URL('/authorize', issuer);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    resource: serverUrl.href,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const { parameters } = await authorize(url);
  const body = new URLSearchParams({
    grant_type: 'authorization_code',
    client_id: clientId,
    redirect_uri: redirectUri,
    code: parameters.get('code'),
    code_verifier: verifier,
  });
  return (await (await fetch(`${issuer}/token`, { method: 'POST', body })).json()).access_token;
}

const clientId = await register();
let clicked;
const words = ['--url', issuer, '--client-id', clientId, '--port', port, '--resource', serverUrl.href];
const { found, output } = await run('authorization', words, (text) => {
  const url = text.match(/^http\S+\/authorize\?\S+$/m)?.[0];
  if (url && !clicked) clicked = authorize(url).then(({ location }) => arrive(location));
});
assert.ok((await clicked)?.ok, output);
assert.equal(found.size, 2, output);
for (const [scenario, checks] of [...found].sort()) report(scenario, checks);

await withToken(await accessToken(clientId), async (url) => {
  for (const [revision, ours] of Object.entries(scenarios)) {
    const { found } = await run('server', ['--url', url, '--requirements', revision, '--timeout', 120_000]);
    for (const scenario of ours) report(`${scenario}, ${revision}`, found.get(scenario));
    // Each message of the server, in all scenarios.
    const messages = [...found.values()].flat().filter(({ id }) => id === 'wire-schema-valid');
    report(`wire-schema-valid, ${revision}`, messages);
  }
});
