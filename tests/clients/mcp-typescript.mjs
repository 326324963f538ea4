// An MCP client made of the TypeScript SDK, unmodified, for tests/it/mcp_clients.rs. It is given the address of an MCP
// server and nothing else, or also the URL of a document with its metadata. Prints a line for each step that it has
// passed.

import assert from 'node:assert/strict';
import { UnauthorizedError, auth } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { authorize } from './form-clicker.mjs';

const [serverUrl, documentUrl] = process.argv.slice(2);
const passed = (step) => console.log(`passed: ${step}`);

/** What an application keeps for the SDK. */
class Provider {
  redirectUrl = 'http://localhost:53682/callback';
  clientMetadataUrl = documentUrl;
  clientMetadata = {
    client_name: 'A client in TypeScript',
    redirect_uris: [this.redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  registrations = 0;
  clientInformation() { return this.information; }
  saveClientInformation(information) { this.information = information; this.registrations += 1; }
  tokens() { return this.saved; }
  saveTokens(tokens) { this.saved = tokens; }
  redirectToAuthorization(url) { this.url = url; }
  codeVerifier() { return this.verifier; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  saveDiscoveryState(state) { this.discovered = state; }
  discoveryState() { return this.discovered; }
  state() { return 'a state'; }
  invalidateCredentials(scope) {
    if (scope === 'all') this.information = undefined;
    if (scope === 'all' || scope === 'tokens') this.saved = undefined;
    if (scope === 'all' || scope === 'discovery') this.discovered = undefined;
  }
}

const provider = new Provider();

/** Has the resource owner agree to what the SDK asks for, and gives the SDK the code. */
async function consent(transport) {
  const { page, parameters } = await authorize(provider.url);
  assert.equal(parameters.get('state'), 'a state');
  assert.equal(parameters.get('iss'), new URL(provider.url).origin);
  await transport.finishAuth(parameters.get('code'));
  return page;
}

async function connect() {
  const client = new Client({ name: 'test', version: '1' });
  const transport = new StreamableHTTPClientTransport(new URL(serverUrl), { authProvider: provider });
  await client.connect(transport);
  return { client, transport };
}

const first = new StreamableHTTPClientTransport(new URL(serverUrl), { authProvider: provider });
await assert.rejects(new Client({ name: 'test', version: '1' }).connect(first), UnauthorizedError);
assert.ok(provider.discovered.authorizationServerMetadata);
passed('discovery');
assert.equal(provider.registrations, 1);
if (documentUrl) assert.equal(provider.information.client_id, documentUrl);
passed(documentUrl ? 'document' : 'registration');
await consent(first);
assert.ok(provider.saved.access_token && provider.saved.refresh_token);
passed('token');

const { client, transport } = await connect();
const { tools } = await client.listTools();
assert.deepEqual(tools.map(({ name }) => name), ['answer', 'question']);
const answer = await client.callTool({ name: 'answer', arguments: {} });
assert.equal(answer.content[0].text, '42');
passed('tools/call');

// With a refresh token the SDK refreshes, which cannot widen the scope, and gives up. So the application asks again.
const refused = await client.callTool({ name: 'question', arguments: {} }).then(assert.fail, (error) => error);
assert.equal(refused.code, 403, String(refused));
provider.invalidateCredentials('tokens');
assert.equal(await auth(provider, { serverUrl, scope: 'answer question' }), 'REDIRECT');
await consent(transport);
const question = await client.callTool({ name: 'question', arguments: {} });
assert.equal(question.content[0].text, 'No one has found it yet.');
passed('step-up');

const old = provider.saved;
assert.equal(await auth(provider, { serverUrl }), 'AUTHORIZED');
assert.notEqual(provider.saved.access_token, old.access_token);
assert.equal((await client.callTool({ name: 'question', arguments: {} })).content[0].text, 'No one has found it yet.');
passed('refresh');

const { revocation_endpoint } = provider.discovered.authorizationServerMetadata;
const revoked = await fetch(revocation_endpoint, {
  method: 'POST',
  body: new URLSearchParams({ token: provider.saved.refresh_token, client_id: provider.information.client_id }),
});
assert.equal(revoked.status, 200);
await assert.rejects(client.callTool({ name: 'answer', arguments: {} }), UnauthorizedError);
await consent(transport);
assert.equal((await client.callTool({ name: 'answer', arguments: {} })).content[0].text, '42');
passed('revocation');

if (!documentUrl) {
  provider.information = { ...provider.information, client_id: `${provider.information.client_id.slice(0, -4)}dead` };
  provider.saved = { ...provider.saved, access_token: 'wrong' };
  const before = provider.registrations;
  await assert.rejects(client.callTool({ name: 'answer', arguments: {} }), UnauthorizedError);
  assert.equal(provider.registrations, before + 1, 'it forgets the dead identifier and registers again');
  await consent(transport);
  assert.equal((await client.callTool({ name: 'answer', arguments: {} })).content[0].text, '42');
  passed('dead identifier');
}
await client.close();
