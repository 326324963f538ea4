// A browser as small as the dialog needs: it shows the dialog, keeps the cookie, presses a button and stops at the
// client's address, which it gives back. And a port for clients that listen there.

import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** The page of the dialog, the URL to which it leads, and the parameters that the client finds in that. */
export async function authorize(url, decision = 'authorize') {
  const dialog = await fetch(url, { redirect: 'manual' });
  const page = await dialog.text();
  if (dialog.status !== 200) throw new Error(`the dialog: ${dialog.status} ${page}`);
  const sealed = page.match(/name="request" value="([^"]*)"/)[1];
  const action = page.match(/<form method="post" action="([^"]*)"/)[1];
  const cookie = dialog.headers.getSetCookie().map((line) => line.split(';')[0]).join('; ');
  const answer = await fetch(new URL(action, url), {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie, origin: new URL(url).origin, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ request: sealed, decision }),
  });
  if (answer.status !== 302) throw new Error(`the form: ${answer.status} ${await answer.text()}`);
  const location = new URL(answer.headers.get('location'));
  return { page, location, parameters: location.searchParams };
}

/** Goes to the client's address, once it listens: clients print the address of the dialog a moment before that. */
export async function arrive(location) {
  const end = Date.now() + 60_000;
  for (;;) {
    try {
      return await fetch(location);
    } catch (error) {
      if (error.cause?.code !== 'ECONNREFUSED' || Date.now() > end) throw error;
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  }
}

/**
 * A port of this machine that nothing listens at. It is below those that the system gives out by itself, so that no
 * connection of another test takes it before it is used, or while its user is not listening.
 */
export async function freePort() {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
