// A dialog of another origin in a popup, and what it comes back with.
//
// While the popup shows another origin's page, the browser lets this page know nothing of it but whether it is
// closed. When it has come back to our own origin, its address can be read, and in it what the dialog answers.

const WIDTH = 480;
const HEIGHT = 600;
const LOOK_EVERY_MS = 100;

/** Why a dialog gave no answer; `reason` is "blocked" or "closed". */
export class NoAnswer extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * Opens `url` in a centred popup and waits until it has come back to `redirectUri`, a page of this origin.
 * Gives the query that it came back with. Throws NoAnswer when the popup was blocked, or closed before that.
 */
export function openDialog(url, redirectUri) {
  const popup = window.open(url, "oauth-dialog", centred());
  if (!popup) return Promise.reject(new NoAnswer("blocked"));
  popup.focus();
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      if (popup.closed) {
        clearInterval(timer);
        reject(new NoAnswer("closed"));
        return;
      }
      const query = queryOf(popup, redirectUri);
      if (query) {
        clearInterval(timer);
        popup.close();
        resolve(query);
      }
    }, LOOK_EVERY_MS);
  });
}

/** The query with which the popup is at the redirect URI; undefined while it is elsewhere. */
function queryOf(popup, redirectUri) {
  let address;
  try {
    address = popup.location.href;
  } catch {
    return undefined; // Another origin's page: the browser tells nothing of it.
  }
  if (!address || address === "about:blank") return undefined;
  const at = new URL(address);
  return at.origin + at.pathname === redirectUri ? at.searchParams : undefined;
}

/** Where on the screen: in the middle of this window, wherever that is. */
function centred() {
  const left = Math.round(window.screenX + Math.max(0, (window.outerWidth - WIDTH) / 2));
  const top = Math.round(window.screenY + Math.max(0, (window.outerHeight - HEIGHT) / 2));
  return `popup,width=${WIDTH},height=${HEIGHT},left=${left},top=${top}`;
}
