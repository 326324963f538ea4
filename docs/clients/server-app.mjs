// A server app with a secret, and the library oauth4webapi: npm install oauth4webapi, then node server-app.mjs
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import * as oauth from 'oauth4webapi';

const config = JSON.parse(readFileSync(new URL('server-app.json', import.meta.url)));
const client = { client_id: config.client_id };
const authentication = oauth.ClientSecretBasic(config.client_secret);
// The server is on this machine and speaks http. Elsewhere, leave this out.
const options = { [oauth.allowInsecureRequests]: true };

const issuer = new URL(config.issuer);
const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' }),
);

/** The flows that browsers have begun, each by the cookie of its browser. */
const flows = new Map();

async function begin(response) {
  const [id, verifier, state] = [randomUUID(), oauth.generateRandomCodeVerifier(), oauth.generateRandomState()];
  flows.set(id, { verifier, state });
  // Strangers may begin flows, so there is a bound; the oldest one ends.
  if (flows.size > 1000) flows.delete(flows.keys().next().value);
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: config.redirect_uri,
    scope: 'answer',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const cookie = `flow=${id}; HttpOnly; SameSite=Lax; Path=/callback; Max-Age=600`;
  response.writeHead(302, { Location: url.href, 'Set-Cookie': cookie }).end();
}

async function finish(url, cookies, response) {
  const [, id] = /(?:^|; )flow=([^;]+)/.exec(cookies) ?? [];
  const flow = flows.get(id);
  flows.delete(id);
  if (!flow) throw new Error('this browser has begun no flow');
  const answer = oauth.validateAuthResponse(server, client, url, flow.state);
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, await oauth.authorizationCodeGrantRequest(
    server, client, authentication, answer, config.redirect_uri, flow.verifier, options,
  ));
  const secure = await oauth.protectedResourceRequest(
    tokens.access_token, 'GET', new URL('/secure', issuer), undefined, undefined, options,
  );
  response.end(`The secret answer is ${(await secure.json()).answer}`);
}

const { origin, port, hostname } = new URL(config.redirect_uri);
createServer(async (request, response) => {
  const url = new URL(request.url, origin);
  try {
    if (url.pathname === '/') await begin(response);
    else if (url.pathname === '/callback') await finish(url, request.headers.cookie ?? '', response);
    else response.writeHead(404).end();
  } catch (error) {
    response.writeHead(400).end(`No answer: ${error.message}`);
  }
}).listen(port, hostname, () => console.log(`Open ${origin}/`));
