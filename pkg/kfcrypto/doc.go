// Package kfcrypto signs, encrypts and opens the callbacks of WeCom and WeChat Customer Service (微信客服).
//
// # What a callback is
//
// The platform and the receiver share a callback token and an EncodingAESKey, both set in the admin console;
// GenerateCallbackToken and GenerateKey make new ones. A callback is a POST with three query parameters and a body:
//
//	POST /callback?msg_signature=…&timestamp=…&nonce=…
//	<xml><ToUserName>…</ToUserName><AgentID>…</AgentID><Encrypt>base64</Encrypt></xml>
//
// The signature is the SHA-1 of callback token, timestamp, nonce and the Encrypt text, sorted and joined. Encrypt is
// AES-256-CBC over 16 random bytes, the length of the message, the message, and the receiveid: the corpid, or the
// suiteid of a third-party app.
//
// # Receiving
//
// ScanEnvelope finds Encrypt in the body, Codec.Open checks the signature and decrypts:
//
//	envelope, err := kfcrypto.ScanEnvelope(body)             // any error: refuse
//	…
//	message, receiveID, err := codec.Open(signature, timestamp, nonce, envelope.Encrypt)
//
// Before both, the caller bounds the body (64 KiB is plenty) and holds the query parameters to their formats: one of
// each, 40 lower-case hex digits, 10 digits, and 1 to 32 of [0-9A-Za-z_-]. After both, it answers every error in the
// same words. ErrSignature and ErrMalformed are two for the sake of counters, and nobody outside may tell them apart.
// Kf callbacks take no passive reply; the answer is the body "success".
//
// The GET that checks a new callback URL is answered with what Codec.VerifyURL returns, and nothing around it.
// While keys are rotated, a KeyRing of the new and the old Codec stands in for the Codec.
//
// # What it promises
//
//   - Signature first, in constant time. Whatever is wrong behind it is ErrMalformed, after the same work: to the network,
//     bad padding, a length that lies and a foreign receiveid are one thing.
//   - No input makes it panic, and none costs more than time and memory in proportion to its length.
//   - No secret and no message is in any error, and neither Key, CallbackToken, Codec nor KeyRing can be printed, logged or
//     marshalled by accident.
//
// # What it does not
//
// It does not recognise a replayed callback: the protocol has nothing to recognise it by but the ciphertext, which the
// caller may remember. It does not judge timestamps. It does not read the message inside, and knows no HTTP.
//
// https://developer.work.weixin.qq.com/document/path/90930 (callbacks),
// https://developer.work.weixin.qq.com/document/path/90968 (encryption).
package kfcrypto
