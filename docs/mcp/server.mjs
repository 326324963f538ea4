// An MCP server with one tool, made of the TypeScript SDK, for clients with a token of the authorization server:
// npm install @modelcontextprotocol/sdk@1, then node server.mjs
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { createMcpExpressApp } from '@modelcontextprotocol/sdk/server/express.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const issuer = 'http://localhost:3001';
const resource = new URL('http://localhost:4000/mcp');
const clientId = 'mcp-server';
const clientSecret = 'UEBJlzDnIDhFzf5f46UHf_jIpqWWINgSf6tVnSHjGvEQBY3LLFU5Zu_zijPLxMaj';
const scopes = ['answer'];
// By this document a client finds the authorization server (RFC 9728, 3.1).
const metadataUrl = new URL(`/.well-known/oauth-protected-resource${resource.pathname}`, resource);

/** Asks the authorization server about a token (RFC 7662). Each time, so that a revoked one ends at once. */
async function verifyAccessToken(token) {
  const response = await fetch(`${issuer}/introspect`, {
    method: 'POST',
    headers: { Authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}` },
    body: new URLSearchParams({ token }),
    signal: AbortSignal.timeout(5000),
  });
  // What is thrown here, and is no InvalidTokenError, becomes a 500: no request goes through.
  if (!response.ok) throw new Error(`introspection: ${response.status}`);
  const described = await response.json();
  if (typeof described.active !== 'boolean') throw new Error('introspection: this does not describe a token');
  // A token for another server must not work here, and a refresh token nowhere.
  const audience = [described.aud ?? []].flat();
  if (!described.active || described.token_type !== 'Bearer' || !audience.includes(resource.href)) {
    throw new InvalidTokenError('The access token is not valid here');
  }
  const { client_id, scope, exp } = described;
  return { token, clientId: client_id, scopes: (scope ?? '').split(' '), expiresAt: exp, resource };
}

function mcpServer() {
  const server = new McpServer({ name: 'my-mcp-server', version: '1' });
  server.registerTool('answer', { description: 'The secret answer.' }, async () => ({
    content: [{ type: 'text', text: '42' }],
  }));
  return server;
}

// Refuses every Host but this machine's names, against DNS rebinding.
const app = createMcpExpressApp();
app.get(metadataUrl.pathname, (_, response) => {
  response.json({ resource: resource.href, authorization_servers: [issuer], scopes_supported: scopes });
});
const authorized = requireBearerAuth({
  verifier: { verifyAccessToken },
  requiredScopes: scopes,
  resourceMetadataUrl: metadataUrl.href,
});
app.post(resource.pathname, authorized, async (request, response) => {
  // A server for each request, without sessions.
  const [server, transport] = [mcpServer(), new StreamableHTTPServerTransport({ enableJsonResponse: true })];
  response.on('close', () => server.close());
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
});
app.all(resource.pathname, (_, response) => response.sendStatus(405));
app.listen(4000, 'localhost', (error) => {
  if (error) throw error;
  console.log(`Listening at ${resource}`);
});
