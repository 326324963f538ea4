#!/usr/bin/env bash
# The code flow by hand, as a command-line app without a listener.
set -euo pipefail

ISSUER=http://localhost:3001
REDIRECT_URI=http://127.0.0.1:8002/callback

# A secret of this flow, and its SHA-256 digest in base64url (RFC 7636, 4).
VERIFIER=$(openssl rand -hex 32)
CHALLENGE=$(printf %s "$VERIFIER" | openssl dgst -sha256 -binary | openssl base64 -A | tr '+/' '-_' | tr -d =)
STATE=$(openssl rand -hex 16)

# The authorization request (RFC 6749, 4.1.1).
echo "Open $ISSUER/authorize?response_type=code&client_id=command-line-app&redirect_uri=$REDIRECT_URI&scope=answer&state=$STATE&code_challenge=$CHALLENGE&code_challenge_method=S256"

# The browser ends at an address that nothing listens on. The code is in it.
echo "Authorize the app, and paste the address at which the browser ends:"
read -r ADDRESS
case $ADDRESS in *"state=$STATE"*) ;; *) echo "That is not the answer to this request." >&2; exit 1 ;; esac
CODE=$(printf %s "$ADDRESS" | sed 's/.*[?&]code=\([^&]*\).*/\1/')

# The token request (RFC 6749, 4.1.3). The code works once, for 60 seconds, with this verifier.
TOKENS=$(curl -sS --fail-with-body "$ISSUER/token" -d grant_type=authorization_code -d client_id=command-line-app \
  -d "code=$CODE" --data-urlencode "redirect_uri=$REDIRECT_URI" -d "code_verifier=$VERIFIER")
ACCESS_TOKEN=$(printf %s "$TOKENS" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

# The protected resource (RFC 6750, 2.1).
curl -sS --fail-with-body -w '\n' "$ISSUER/secure" -H "Authorization: Bearer $ACCESS_TOKEN"
