package kfcrypto

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// traces are the ways a secret could show: itself, in hex, and as a list of bytes.
func traces(secrets ...[]byte) []string {
	var out []string
	for _, s := range secrets {
		list := fmt.Sprintf("%d", s[:4])
		out = append(out, string(s), hex.EncodeToString(s[:4]), list[1:len(list)-1],
			strings.TrimSuffix(fmt.Sprintf("%#v", s[:4])[len("[]byte{"):], "}"))
	}
	return out
}

func wantNoTrace(t *testing.T, where, text string) {
	t.Helper()
	key, err := ParseKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.aes()
	if err != nil {
		t.Fatal(err)
	}
	for _, trace := range traces([]byte(testToken), []byte(testKey), raw) {
		if strings.Contains(strings.ToLower(text), strings.ToLower(trace)) {
			t.Errorf("%s shows a secret: %q", where, text)
		}
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	key, err := ParseKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	token, err := ParseCallbackToken(testToken)
	if err != nil {
		t.Fatal(err)
	}
	codec := newCodec(t)
	_ = seal(t, codec, "warm the pool")
	ring, err := NewKeyRing(codec)
	if err != nil {
		t.Fatal(err)
	}
	type hidden struct {
		k  Key
		t  CallbackToken
		c  *Codec
		kp *Key
		r  *KeyRing
	}
	type shown struct {
		K Key
		T CallbackToken
		C *Codec
		R *KeyRing
	}
	values := map[string]any{
		"key": key, "token": token, "key pointer": &key, "codec": codec, "codec value": *codec, "ring": ring, "ring value": *ring,
		"unexported": hidden{key, token, codec, &key, ring}, "exported": shown{key, token, codec, ring}, "pointer": &shown{key, token, codec, ring},
		"slice": []any{key, token, codec}, "map": map[string]any{"k": key, "c": codec}, "keys": []Key{key}, "codecs": []*Codec{codec},
		"error": fmt.Errorf("with %v and %v", key, codec),
	}
	for name, v := range values {
		for _, verb := range "vsqxXdbocUeEfFgGtpTOw!" {
			for _, flag := range []string{"", "+", "#", " ", "0", "-60", "60", ".3", "#+"} {
				format := "%" + flag + string(verb)
				wantNoTrace(t, name+" "+format, fmt.Sprintf(format, v))
			}
		}
		if text, err := json.Marshal(v); err == nil {
			wantNoTrace(t, name+" as JSON", string(text))
		}
		if text, err := xml.Marshal(v); err == nil {
			wantNoTrace(t, name+" as XML", string(text))
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		wantNoTrace(t, name+" in a log", log.String())
	}
	if got := fmt.Sprintf("%v %s %q %x", key, token, key, token); got != "[secret] [secret] [secret] [secret]" {
		t.Errorf("got %q", got)
	}
	if got, err := json.Marshal(shown{K: key}); err != nil || !strings.Contains(string(got), `"K":"[secret]"`) {
		t.Errorf("got %s, %v", got, err)
	}
	if key.String() != "[secret]" || key.Reveal() != testKey || (Key{}).Reveal() != "" {
		t.Error("String, Reveal or the zero value is wrong")
	}
}

// The check above must see what it looks for.
func TestTracesAreFound(t *testing.T) {
	for _, text := range []string{
		fmt.Sprintf("%v", struct{ t []byte }{[]byte(testToken)}),
		fmt.Sprintf("%#v", struct{ t []byte }{[]byte(testToken)}),
		fmt.Sprintf("%x", testToken), fmt.Sprintf("%X", testToken), "x" + testToken + "y",
	} {
		found := false
		for _, trace := range traces([]byte(testToken)) {
			found = found || strings.Contains(strings.ToLower(text), strings.ToLower(trace))
		}
		if !found {
			t.Errorf("no trace seen in %q", text)
		}
	}
}

func TestNoErrorQuotesAnything(t *testing.T) {
	const text = "what the customer wrote"
	c := newCodec(t)
	s := seal(t, c, text)
	errs := []error{ErrMalformed, ErrSignature}
	add := func(err error) {
		t.Helper()
		if err == nil {
			t.Error("no error to look at")
			return
		}
		errs = append(errs, err)
	}
	_, err := New(testToken+"!", testKey, testCorp)
	add(err)
	_, err = New(testToken, testKey+testKey, testCorp)
	add(err)
	_, err = New(testToken, testKey[:42]+"!", testCorp)
	add(err)
	_, err = New(strings.Repeat(testToken, 3), testKey, testCorp)
	add(err)
	_, err = New(testToken, testKey)
	add(err)
	_, err = New(testToken, testKey, AnyReceiveID, testCorp)
	add(err)
	_, err = New(testToken, testKey, strings.Repeat(testCorp, 4))
	add(err)
	_, _, err = c.Open(s.MsgSignature, "1", s.Nonce, s.Encrypt)
	add(err)
	_, _, err = newCodec(t, "wwother").Open(s.MsgSignature, s.Timestamp, s.Nonce, s.Encrypt)
	add(err)
	_, err = c.VerifyURL(s.MsgSignature, s.Timestamp, s.Nonce, string(s.Encrypt))
	add(err)
	_, _, err = c.Decrypt([]byte(text))
	add(err)
	_, err = ScanEnvelope([]byte(text))
	add(err)
	_, err = c.Encrypt(strings.NewReader("short"), []byte(text), testCorp)
	add(err)
	_, err = c.Seal(nil, text, testNonce, []byte(text), testCorp)
	add(err)
	_, err = c.Seal(nil, testTime, text, []byte(text), testCorp)
	add(err)
	_, err = c.Seal(nil, testTime, testNonce, []byte(text), strings.Repeat(testCorp, 4))
	add(err)
	_, err = NewKeyRing(c, nil)
	add(err)
	for _, err := range errs {
		for ; err != nil; err = errors.Unwrap(err) {
			wantNoTrace(t, "error", fmt.Sprintf("%v %+v %#v", err, err, err))
			for _, private := range []string{text, testCorp, string(s.Encrypt), s.MsgSignature} {
				if strings.Contains(err.Error(), private) {
					t.Errorf("error %q quotes %q", err, private)
				}
			}
		}
	}
}
