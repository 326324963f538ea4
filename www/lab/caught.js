// Tells the page that opened this one that it can close it.

window.opener?.postMessage('loaded', '*');
