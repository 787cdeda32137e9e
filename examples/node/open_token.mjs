// Opens a sealed access token with nkeys.js: the value of kf_tokens on standard input.
//
//     npm install
//     nats kv get kf_tokens ww….kf --raw | KF_TOKEN_OPEN_KEY_FILE=reader.key KF_TOKEN_KEEPER=X… node open_token.mjs ww… kf
//
// Takes only what the tokenkeeper sealed for this key and this credential; exit code 1 says why not. Prints what may be
// logged; the token itself is in token.token.
import { readFileSync } from "node:fs";
import nkeys from "nkeys.js";

// Returns the token, or throws.
function openToken(value, privateKey, keeper, corp, credential) {
  const own = nkeys.fromCurveSeed(new TextEncoder().encode(privateKey));
  const sealed = (value.sealed ?? []).find((s) => s.key === own.getPublicKey());
  if (!sealed) throw new Error("not sealed for this key");
  const inside = own.open(Buffer.from(sealed.box, "base64"), keeper);
  if (!inside) throw new Error("not sealed by this tokenkeeper");
  const token = JSON.parse(new TextDecoder().decode(inside));
  if (token.corp !== corp || token.credential !== credential) throw new Error("sealed for another credential");
  return token;
}

const [corp, credential] = process.argv.slice(2);
const { KF_TOKEN_OPEN_KEY_FILE, KF_TOKEN_KEEPER } = process.env;
try {
  const privateKey = readFileSync(KF_TOKEN_OPEN_KEY_FILE, "ascii").trim();
  const token = openToken(JSON.parse(readFileSync(0, "utf8")), privateKey, KF_TOKEN_KEEPER, corp, credential);
  console.log(`generation ${token.generation}, token ${token.sha256}…, ${token.token.length} characters`);
} catch (e) {
  console.error(`open_token: ${e.message}`);
  process.exit(1);
}
