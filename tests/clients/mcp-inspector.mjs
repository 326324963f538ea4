// The Inspector's command line, unmodified, for tests/it/mcp_clients.rs. It logs in as it does for a person at a
// terminal, who opens the address that it prints; here the form clicker does that. Takes the address of an MCP server,
// and perhaps the URL of a document with the metadata of a client. Prints a line for each step that the Inspector has
// passed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arrive, authorize, freePort } from './form-clicker.mjs';

const [serverUrl, documentUrl] = process.argv.slice(2);
const issuer = new URL(serverUrl).origin;
const launcher = 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js';
const inspector = new URL(launcher, import.meta.url);
const passed = (step) => console.log(`passed: ${step}`);

const callbackUrl = `http://127.0.0.1:${await freePort()}/oauth/callback`;
const folder = await mkdtemp(join(tmpdir(), 'inspector-'));
const file = (name) => join(folder, '.mcp-inspector', name);
const environment = {
  PATH: process.env.PATH,
  NO_PROXY: '*',
  HOME: folder,
  MCP_INSPECTOR_SECRET_STORE: 'file',
  // It logs in without a terminal, too, if it may open a browser. That is a program that does nothing.
  MCP_AUTO_OPEN_ENABLED: 'true',
  BROWSER: 'true',
};

/** Calls a tool; gives what the tool says, and the scopes of each login that it took. */
async function call(tool, ...options) {
  const target = options.includes('--config') ? [] : ['--server-url', serverUrl];
  const words = ['--callback-url', callbackUrl, '--connect-timeout', '0', '--format', 'json'];
  words.push('--method', 'tools/call', '--tool-name', tool);
  if (documentUrl) words.push('--client-metadata-url', documentUrl);
  const all = [inspector.pathname, '--cli', ...target, ...words, ...options];
  const child = spawn(process.execPath, all, { env: environment, timeout: 300_000 });
  const ended = new Promise((resolve) => { child.on('close', resolve); });
  const scopes = [];
  let [output, errors] = ['', ''];
  child.stdout.on('data', (data) => { output += data; });
  child.stderr.on('data', (data) => {
    errors += data;
    if (errors.includes('Proceed with step-up authorization?')) child.stdin.end('y\n');
    const urls = [...errors.matchAll(/Please navigate to: (\S+)\n/g)].map((match) => new URL(match[1]));
    for (const url of urls.slice(scopes.length)) {
      scopes.push(url.searchParams.get('scope'));
      authorize(url).then(({ location }) => arrive(location)).catch((error) => { errors += error; child.kill(); });
    }
  });
  assert.equal(await ended, 0, errors);
  return { text: JSON.parse(output).result.content[0].text, scopes, errors };
}

/** The Inspector's file, and a way to change it. */
async function stored(name) {
  const content = JSON.parse(await readFile(file(name)));
  return { content, save: () => writeFile(file(name), JSON.stringify(content)) };
}

async function storedClient() {
  const { content, save } = await stored('storage/oauth.json');
  return { client: content.servers[serverUrl].byIssuer[issuer].clientInformation, save };
}

async function storedTokens() {
  const { content, save } = await stored('secrets.json');
  const [[key, tokens]] = Object.entries(content.secrets);
  const change = (changes) => {
    content.secrets[key] = JSON.stringify({ ...JSON.parse(tokens), ...changes });
    return save();
  };
  return { ...JSON.parse(tokens), change };
}

async function revoke(token) {
  const { client } = await storedClient();
  const body = new URLSearchParams({ token, client_id: client.client_id });
  assert.equal((await fetch(`${issuer}/revoke`, { method: 'POST', body })).status, 200);
}

try {
  const first = await call('answer');
  const { content } = await stored('storage/oauth.json');
  assert.equal(content.servers[serverUrl].discoveryState.authorizationServerMetadata.issuer, issuer);
  passed('discovery');
  const { client } = await storedClient();
  if (documentUrl) assert.equal(client.client_id, documentUrl);
  else assert.equal(client.client_name, 'MCP Inspector');
  passed(documentUrl ? 'document' : 'registration');
  const tokens = await storedTokens();
  assert.ok(tokens.access_token && tokens.refresh_token);
  passed('token');
  assert.equal(first.text, '42');
  // The scopes that the metadata of the resource lists.
  assert.deepEqual(first.scopes, ['answer question offline_access']);
  const again = await call('question', '--protocol-era', 'modern');
  assert.equal(again.text, 'No one has found it yet.');
  assert.deepEqual(again.scopes, []);
  passed('tools/call');

  // With scopes of its own in the configuration it asks for these, and for more when it needs them.
  const entry = { type: 'streamable-http', url: serverUrl, oauth: { scopes: 'answer' } };
  await writeFile(join(folder, 'servers.json'), JSON.stringify({ mcpServers: { answer: entry } }));
  const configured = ['--config', join(folder, 'servers.json'), '--server', 'answer'];
  const narrow = await call('answer', ...configured, '--relogin');
  assert.deepEqual(narrow.scopes, ['answer offline_access']);
  const wide = await call('question', ...configured);
  assert.match(wide.errors, /This operation needs additional scope: question\./);
  assert.equal(wide.text, 'No one has found it yet.');
  assert.equal(wide.scopes.length, 1);
  assert.deepEqual(new Set(wide.scopes[0].split(' ')), new Set(['answer', 'question', 'offline_access']));
  passed('step-up');

  const old = await storedTokens();
  await revoke(old.access_token);
  assert.deepEqual((await call('answer')).scopes, []);
  assert.notEqual((await storedTokens()).refresh_token, old.refresh_token);
  passed('refresh');

  await revoke((await storedTokens()).refresh_token);
  assert.equal((await call('answer')).scopes.length, 1);
  passed('revocation');

  if (!documentUrl) {
    const registered = await storedClient();
    registered.client.client_id = `${registered.client.client_id.slice(0, -4)}dead`;
    await registered.save();
    await (await storedTokens()).change({ access_token: 'wrong' });
    const healed = await call('answer');
    assert.deepEqual([healed.text, healed.scopes.length], ['42', 1]);
    assert.notEqual((await storedClient()).client.client_id, registered.client.client_id);
    passed('dead identifier');
  }
} finally {
  await rm(folder, { recursive: true });
}
