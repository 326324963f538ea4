// A popup that visits another origin and returns with a response in its address.

export class PopupError extends Error {
  /** @param {'blocked' | 'closed'} reason */
  constructor(reason) {
    super(`popup ${reason}`);
    this.reason = reason;
  }
}

/**
 * Opens the URL that the promise `url` gives in a popup and waits until it arrives at `redirectUri`.
 *
 * `query` resolves with the URLSearchParams that the popup returned with, or rejects
 * with a PopupError. `isBlocked` says that the browser opened none. `focus()` brings the popup to the front again.
 */
export function openPopup(url, redirectUri) {
  // Use '_blank': a name would reuse an older popup, and for a moment we would
  // still read its old address.
  const popup = window.open('', '_blank', centred(480, 680));
  // Open the window now, while the click allows it; its address is known a moment later.
  if (popup) url.then((address) => { if (!popup.closed) popup.location.replace(address); });
  return {
    query: popup ? waitFor(popup, new URL(redirectUri)) : Promise.reject(new PopupError('blocked')),
    isBlocked: !popup,
    focus: () => popup?.focus(),
  };
}

function waitFor(popup, home) {
  return new Promise((resolve, reject) => {
    // Close the popup with this page, which is the only one that waits for it.
    const leave = () => popup.close();
    window.addEventListener('pagehide', leave);

    // No event reports another window's navigation, so poll its address.
    const timer = setInterval(() => {
      const query = queryAt(popup, home);
      if (!query && !popup.closed) return;

      clearInterval(timer);
      window.removeEventListener('pagehide', leave);
      popup.close();
      if (query) resolve(query);
      else reject(new PopupError('closed'));
    }, 100);
  });
}

/** The popup's query if it is at `home`, else null. */
function queryAt(popup, home) {
  try {
    const here = new URL(popup.location.href);
    const isHome = here.origin === home.origin && here.pathname === home.pathname;
    return isHome ? here.searchParams : null;
  } catch {
    // The same-origin policy hides the address of a page of another origin.
    return null;
  }
}

/** Window features for a popup centred on this window. */
function centred(width, height) {
  const left = Math.round(window.screenX + (window.outerWidth - width) / 2);
  const top = Math.round(window.screenY + (window.outerHeight - height) / 2);
  return `popup,width=${width},height=${height},left=${left},top=${top}`;
}
