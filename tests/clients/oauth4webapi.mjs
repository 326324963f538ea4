// The whole of the standard with oauth4webapi, a strict client library that makes no exception for anyone. Takes
// the issuer and the confidential clients' secret; ends with status 0 when every step went as it should.

import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';

const [issuerText, secret] = process.argv.slice(2);
const issuer = new URL(issuerText);
// The server is on this machine and speaks http; everything else stays as strict as it is.
const options = { [oauth.allowInsecureRequests]: true };

const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' }),
);
assert.equal(server.issuer, issuerText);

/** Does what a browser and the person in front of it do; gives the URL that the browser is sent to. */
async function decide(url, decision) {
  const dialog = await fetch(url);
  const cookie = dialog.headers.get('set-cookie').split(';')[0];
  const [, sealed] = /name="request" value="([^"]*)"/.exec(await dialog.text());
  const answer = await fetch(new URL('/code', issuer), {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie, origin: issuer.origin },
    body: new URLSearchParams({ request: sealed, decision }),
  });
  assert.equal(answer.status, 302);
  return new URL(answer.headers.get('location'));
}

/** The code flow with PKCE, for this client; gives the answer of the token endpoint, checked. */
async function authorize(client, authentication, redirectUri) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: redirectUri,
    scope: 'answer',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });

  const denied = await decide(url, 'refuse');
  assert.throws(
    () => oauth.validateAuthResponse(server, client, denied, state),
    (error) => error.error === 'access_denied',
  );

  const parameters = oauth.validateAuthResponse(server, client, await decide(url, 'authorize'), state);
  const response = await oauth.authorizationCodeGrantRequest(
    server, client, authentication, parameters, redirectUri, verifier, options,
  );
  return oauth.processAuthorizationCodeResponse(server, client, response);
}

async function answer(token) {
  const response = await oauth.protectedResourceRequest(
    token, 'GET', new URL('/secure', issuer), undefined, undefined, options,
  );
  return (await response.json()).answer;
}

async function refresh(client, authentication, token) {
  const response = await oauth.refreshTokenGrantRequest(server, client, authentication, token, options);
  return oauth.processRefreshTokenResponse(server, client, response);
}

const app = { client_id: 'app' };
const shop = { client_id: 'shop' };
const ways = [
  [app, oauth.None(), 'https://app.example/callback'],
  [shop, oauth.ClientSecretBasic(secret), 'https://shop.example/callback?tenant=1'],
  [shop, oauth.ClientSecretPost(secret), 'https://shop.example/callback?tenant=1'],
];
for (const [client, authentication, redirectUri] of ways) {
  const tokens = await authorize(client, authentication, redirectUri);
  assert.equal(tokens.scope, 'answer');
  assert.equal(await answer(tokens.access_token), 42);

  const refreshed = await refresh(client, authentication, tokens.refresh_token);
  assert.notEqual(refreshed.refresh_token, tokens.refresh_token);
  assert.equal(await answer(refreshed.access_token), 42);

  const gate = { client_id: 'gate' };
  const inspection = await oauth.processIntrospectionResponse(server, gate, await oauth.introspectionRequest(
    server, gate, oauth.ClientSecretBasic(secret), refreshed.access_token, options,
  ));
  assert.equal(inspection.active, true);
  assert.equal(inspection.client_id, client.client_id);
  assert.equal(inspection.iss, server.issuer);

  await oauth.processRevocationResponse(await oauth.revocationRequest(
    server, client, authentication, refreshed.refresh_token, options,
  ));
  await assert.rejects(
    refresh(client, authentication, refreshed.refresh_token),
    (error) => error.error === 'invalid_grant',
  );
  await assert.rejects(answer(refreshed.access_token), oauth.WWWAuthenticateChallengeError);
}

const own = await oauth.processClientCredentialsResponse(server, shop, await oauth.clientCredentialsGrantRequest(
  server, shop, oauth.ClientSecretBasic(secret), {}, options,
));
assert.equal(await answer(own.access_token), 42);
await assert.rejects(
  oauth.clientCredentialsGrantRequest(server, shop, oauth.ClientSecretPost('wrong'), {}, options)
    .then((response) => oauth.processClientCredentialsResponse(server, shop, response)),
  (error) => error.error === 'invalid_client' || error instanceof oauth.WWWAuthenticateChallengeError,
);
console.log('oauth4webapi: every step went as it should');
