// The victim's shop: a client app with mistakes of its own, each of which was common once. It shows ads of any site,
// and tells every site the whole address of the page that a request comes from (see its Referrer-Policy).
//
// Its one page has three addresses: /shop.html signs in, /shop-callback.html gets the answer, and /shop-account.html is
// for customers. The query of the first says how the shop is built:
//
//   with=other     the customer has chosen the second authorization server, which is the attacker's
//   verifier=own   each sign-in has a verifier of its own (PKCE); without it, all customers share one
//   pause          the shop greets the customer, and redeems the code when they continue
//   token=url      the shop passes the access token on in addresses, where the server takes it there
//   ad=script      the ad is a script, and not a picture
//   use=weather    the shop has its token for the attacker's MCP server, which tells it the weather
//   use=answer     the shop has its token for the demo's MCP server, which tells it the answer

const { server, issuer, lab, clientId } = document.body.dataset;
const SERVERS = {
  own: { issuer, authorize: `${server}/authorize`, token: `${server}/token` },
  other: { issuer: lab, authorize: `${lab}/as/authorize`, token: `${lab}/collect` },
};
// RFC 9700, 2.1.1: "transaction-specific". This is not.
const SHARED_VERIFIER = 'one-for-all-customers-of-the-shop-0123456789';
const CALLBACK = `${location.origin}/shop-callback.html`;
// The MCP servers that the shop calls, by their one tool.
const MCP_SERVERS = { weather: `${lab}/weather`, answer: `${server}/mcp` };

const say = (text) => { document.querySelector('#said').textContent = text; };

function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** RFC 7636, 4.2. */
async function challengeOf(verifier) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier)));
  return btoa(String.fromCharCode(...digest)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Sends the browser to the authorization server that the customer has chosen. */
async function signIn(query) {
  const login = {
    with: query.get('with') === 'other' ? 'other' : 'own',
    verifier: query.get('verifier') === 'own' ? random() : SHARED_VERIFIER,
    state: random(),
    pauses: query.has('pause'),
    puts: query.get('token'),
    ad: query.get('ad'),
    uses: query.get('use'),
  };
  sessionStorage.setItem('login', JSON.stringify(login));
  location.replace(`${SERVERS[login.with].authorize}?${new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: CALLBACK,
    scope: 'answer',
    state: login.state,
    code_challenge: await challengeOf(login.verifier),
    code_challenge_method: 'S256',
    // RFC 8707, 2: the token is only for this resource.
    ...(login.uses && { resource: MCP_SERVERS[login.uses] }),
  })}`);
}

/** The answer of an authorization server has come, or what somebody wants the shop to take for one. */
async function comeBack(answer) {
  const login = JSON.parse(sessionStorage.getItem('login')) ?? {};
  const chosen = SERVERS[login.with ?? 'own'];
  if (await checksState() && !(login.state && answer.get('state') === login.state)) {
    return say('Refused: this browser did not request this response: its state does not match.');
  }
  if (answer.has('iss') && answer.get('iss') !== chosen.issuer) {
    return say(`Refused: the response is from ${answer.get('iss')}, but you chose ${chosen.issuer}.`);
  }
  if (!answer.has('code')) return say('You have not signed in.');
  if (login.pauses) await pause();
  const tokens = await redeem(chosen, answer.get('code'), login.verifier ?? SHARED_VERIFIER);
  if (!tokens.access_token) return say(`Signing in failed: ${tokens.error_description ?? 'the server gave no token'}.`);
  if (login.uses) return say(`Welcome! The ${login.uses} is ${await callTool(login.uses, tokens.access_token)}.`);
  await saveCard(tokens.access_token);
  await showPicture();
  await openAccount(tokens, login);
}

/** Whether the shop compares `state`: a switch of the lab. */
async function checksState() {
  return (await (await fetch('/rules')).json()).state_check;
}

/** Greets the customer beside an ad, until they continue. */
async function pause() {
  say('Welcome back!');
  showPicture();
  const place = document.querySelector('.buttons');
  place.hidden = false;
  await new Promise((resolve) => { place.querySelector('button').onclick = resolve; });
  place.hidden = true;
}

async function redeem(chosen, code, verifier) {
  const body = new URLSearchParams({
    grant_type: 'authorization_code', client_id: clientId, redirect_uri: CALLBACK, code, code_verifier: verifier,
  });
  return (await fetch(chosen.token, { method: 'POST', body })).json();
}

/** What the tool called `name` says. */
async function callTool(name, token) {
  const headers = {
    Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', 'MCP-Protocol-Version': '2025-11-25',
  };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } });
  const answer = await (await fetch(MCP_SERVERS[name], { method: 'POST', headers, body })).json();
  return answer.result.content[0].text;
}

/** The customer's card goes to the account that the shop is connected to. */
async function saveCard(token) {
  const headers = { Authorization: `Bearer ${token}` };
  await fetch('/drive', { method: 'POST', headers, body: 'card 4000 1234 5678 9010' });
}

/** Goes to the customer's page, to which the token goes along in the address or in the browser's memory. */
async function openAccount(tokens, login) {
  localStorage.setItem('tokens', JSON.stringify({ ...tokens, renewed: 0 }));
  const query = `?access_token=${tokens.access_token}`;
  const isTaken = login.puts === 'url' && (await fetch(`${server}/secure${query}`)).ok;
  location.replace(`/shop-account.html${isTaken ? query : ''}`);
}

async function welcome(query) {
  const token = query.get('access_token') ?? JSON.parse(localStorage.getItem('tokens'))?.access_token;
  const answer = query.has('access_token')
    ? await fetch(`${server}/secure${location.search}`)
    : await fetch(`${server}/secure`, { headers: { Authorization: `Bearer ${token}` } });
  say(answer.ok ? `You are signed in. The answer is ${(await answer.json()).answer}.` : 'Please sign in again.');
  if (JSON.parse(sessionStorage.getItem('login'))?.ad === 'script') {
    await showScript();
    await renew();
    await renew();
  } else {
    await showPicture();
  }
}

/** New tokens for the refresh token, as a day later. */
async function renew() {
  const { refresh_token: token, renewed } = JSON.parse(localStorage.getItem('tokens'));
  const body = new URLSearchParams({ grant_type: 'refresh_token', client_id: clientId, refresh_token: token });
  const tokens = await (await fetch(`${server}/token`, { method: 'POST', body })).json();
  localStorage.setItem('tokens', JSON.stringify({ ...tokens, renewed: renewed + 1 }));
}

const showPicture = () => show(Object.assign(document.createElement('img'), {
  src: `${lab}/ad.svg`, alt: 'Free games!', width: 320, height: 60,
}));
const showScript = () => show(Object.assign(document.createElement('script'), { src: `${lab}/ad.js` }));

/** Puts an ad on the page, and waits until it has loaded. */
function show(ad) {
  return new Promise((resolve) => {
    ad.onload = resolve;
    ad.onerror = resolve;
    document.querySelector('#ad').replaceChildren(ad);
  });
}

const query = new URLSearchParams(location.search);
switch (location.pathname) {
  case '/shop-callback.html': await comeBack(query); break;
  case '/shop-account.html': await welcome(query); break;
  default: await signIn(query);
}
