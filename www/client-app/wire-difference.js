// Where a refused request differs from what would have matched: a redirect URI by character, a verifier by its digest.

import { ending } from './wire-model.js';
import { element } from './wire-page.js';

/** Draws the difference of `item` in `root`, if it has one. */
export function showDifference(root, item, model, showsSecrets) {
  const rule = item.refusal?.rule;
  const grant = model.grants.get(item.grant);
  if (rule === 'unregistered redirect URI') {
    const asked = item.asked.redirect_uri ?? '';
    const closest = nearest(item.redirect_uris, asked);
    if (closest !== undefined) compare(root, 'registered', closest, 'asked for', asked);
  } else if (rule === 'another redirect URI' && grant?.redirectUri) {
    compare(root, 'the code went to', grant.redirectUri, 'presented', item.asked.redirect_uri ?? '');
  } else if (item.asked?.code_verifier && grant?.request?.code_challenge) {
    compareDigests(root, item.asked.code_verifier, grant.request, showsSecrets);
  }
}

/** The one of `uris` that has the longest beginning in common with `asked`. */
function nearest(uris, asked) {
  return [...uris].sort((one, other) => common(other, asked) - common(one, asked))[0];
}

function common(one, other) {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length += 1;
  return length;
}

function compare(root, firstName, first, secondName, second) {
  const at = common(first, second);
  // What both end in is the same again.
  let tail = 0;
  while (tail < Math.min(first.length, second.length) - at && first.at(-1 - tail) === second.at(-1 - tail)) tail += 1;
  const line = (name, text) => [
    element('dt', {}, name),
    element('dd', {}, element('code', {}, text.slice(0, at),
      element('mark', {}, text.slice(at, text.length - tail) || '∅'), text.slice(text.length - tail))),
  ];
  root.append(element('h3', {}, 'The difference'), element('dl', { class: 'wire-difference' },
    ...line(firstName, first), ...line(secondName, second)),
  element('p', { class: 'wire-facts' }, `The first difference is at character ${at + 1}.`));
}

async function compareDigests(root, verifier, request, showsSecrets) {
  const { code_challenge: challenge, id } = request;
  const isWhole = !verifier.includes('...') && crypto.subtle;
  const bytes = isWhole && await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  const digest = isWhole ? base64url(new Uint8Array(bytes)) : null;
  const steps = [['code_verifier', showsSecrets ? verifier : ending(verifier)]];
  if (digest === null) steps.push(['its S256', 'not known: this file has the verifier shortened']);
  else steps.push(['its S256', digest]);
  steps.push([`code_challenge of request ${id}`, challenge]);
  const list = element('dl', { class: 'wire-difference' });
  for (const [name, text] of steps) {
    const differs = digest !== null && digest !== challenge && text.length === challenge.length;
    const at = differs ? common(digest, challenge) : -1;
    const isWhole = at < 0 || name === 'code_verifier';
    const shown = isWhole ? [text] : [text.slice(0, at), element('mark', {}, text.slice(at))];
    list.append(element('dt', {}, name), element('dd', {}, element('code', {}, ...shown)));
  }
  const says = digest === null ? '' : digest === challenge
    ? 'They match: the sender of the code is the one who asked for it.'
    : 'They do not match: the sender has the code, and not its verifier.';
  root.append(element('h3', {}, 'The proof (PKCE)'), list, element('p', { class: 'wire-facts' }, says));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
