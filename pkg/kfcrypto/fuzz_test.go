package kfcrypto

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// FuzzDecrypt: nothing opens that was not signed with this callback token, and what opens, signed or by Decrypt,
// is the frame that Encrypt would have written with the same random bytes. raw reaches the plaintext rules, which
// random ciphertexts hardly would: it is encrypted as it is.
func FuzzDecrypt(f *testing.F) {
	for _, v := range loadVectors(f).Vectors {
		f.Add(v.MsgSignature, v.Timestamp, v.Nonce, v.Encrypt, []byte(v.Plaintext))
	}
	good := frame(5, "hello", testCorp)
	f.Add(plainSign(testToken, "1", "2", "AAAA"), "1", "2", "AAAA", append(good, honestPadding(len(good))...))
	f.Add("", "", "", "", bytes.Repeat([]byte{32}, 64))
	f.Add("", "", "", "A", bytes.Repeat([]byte{0xff}, 64))
	c := newCodec(f, AnyReceiveID)
	f.Fuzz(func(t *testing.T, signature, timestamp, nonce, encrypt string, raw []byte) {
		if _, _, err := c.Open(signature, timestamp, nonce, []byte(encrypt)); err != ErrSignature { //nolint:errorlint // exactly
			if signature != plainSign(testToken, timestamp, nonce, encrypt) {
				t.Fatalf("unsigned: got %v, want ErrSignature", err)
			}
		}
		checkDecrypt(t, c, encrypt)

		raw = raw[:len(raw)/16*16]
		encrypt = encryptRaw(t, testKey, raw)
		wantM, wantID, wantErr := plainParse(raw)
		m, id, err := c.Open(plainSign(testToken, timestamp, nonce, encrypt), timestamp, nonce, []byte(encrypt))
		if wantErr != nil {
			wantMalformed(t, err)
		} else if err != nil || string(m) != wantM || id != wantID {
			t.Fatalf("frame %x: got %q, %q, %v, want %q, %q", raw, m, id, err, wantM, wantID)
		}
		checkDecrypt(t, c, encrypt)
	})
}

func checkDecrypt(t *testing.T, c *Codec, encrypt string) {
	t.Helper()
	m, id, err := c.Decrypt([]byte(encrypt))
	if err != nil {
		wantMalformed(t, err)
		return
	}
	ciphertext, err := decodeBase64([]byte(encrypt))
	if err != nil || len(id) > maxReceiveID {
		return // longer than Encrypt writes
	}
	key, err := ParseKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.aes()
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 16) // CBC: the first block is the decrypted one XOR the IV, and the IV is the key's first half
	c.k().block.Decrypt(first, ciphertext[:16])
	for i := range first {
		first[i] ^= raw[i]
	}
	again, err := c.Encrypt(bytes.NewReader(first), m, id)
	if err != nil || string(again) != base64.StdEncoding.EncodeToString(ciphertext) {
		t.Fatalf("%q opens to %q for %q, which encrypts to %q, %v", encrypt, m, id, again, err)
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("hello"), testCorp, []byte("0123456789abcdef"), testTime, testNonce)
	f.Add([]byte{}, "", make([]byte, 16), "0", "-")
	f.Add([]byte("你好"), AnyReceiveID, bytes.Repeat([]byte{0xff}, 20), "x", "")
	f.Fuzz(func(t *testing.T, message []byte, receiveID string, random []byte, timestamp, nonce string) {
		allowed := receiveID
		if receiveID == AnyReceiveID {
			allowed = testCorp
		}
		c, err := New(testToken, testKey, allowed)
		if err != nil {
			return // longer than a receiveid is
		}
		s, err := c.Seal(bytes.NewReader(random), timestamp, nonce, message, receiveID)
		if err != nil {
			if len(random) >= 16 && spelled(timestamp, 20, digit) && spelled(nonce, 1, alphanumeric) && len(message) <= MaxMessage {
				t.Fatal(err)
			}
			return
		}
		if want := plainSign(testToken, timestamp, nonce, string(s.Encrypt)); s.MsgSignature != want {
			t.Fatalf("got signature %s, want %s", s.MsgSignature, want)
		}
		m, id, err := c.Open(s.MsgSignature, s.Timestamp, s.Nonce, s.Encrypt)
		if receiveID == AnyReceiveID {
			wantMalformed(t, err)
			return
		}
		if err != nil || !bytes.Equal(m, message) || id != receiveID {
			t.Fatalf("got %q for %q, %v, want %q for %q", m, id, err, message, receiveID)
		}
		for _, b := range [][]byte{s.XML(), s.JSON()} {
			if env, err := ScanEnvelope(b); err != nil || !bytes.Equal(env.Encrypt, s.Encrypt) {
				t.Fatalf("%s: got %s, %v", b, env, err)
			}
		}
	})
}

// FuzzEnvelope: what the scanner accepts, encoding/xml or encoding/json accepts too, as one flat document with every
// name once, and reads the same values from it.
func FuzzEnvelope(f *testing.F) {
	for _, v := range loadVectors(f).Vectors {
		f.Add([]byte(v.PostBody))
	}
	for _, s := range []string{
		"<?xml version='1.0' encoding='utf-8' standalone='no'?>\n<xml><ToUserName>a</ToUserName>\r<AgentID><![CDATA[]]></AgentID><Encrypt>A\r\nA</Encrypt></xml>\n",
		`{"tousername":"a","AgentID":12,"x":"\u00e9\\","y":null,"encrypt":"AA=="}`,
		"{\"agentid\":\"1,\n\"encrypt\":\"AA\"}", "<xml><a>\uffff</a><Encrypt>AA</Encrypt></xml>",
		"<xml><Encrypt><![CDATA[A]]]]><![CDATA[>]]></Encrypt></xml>", "<!DOCTYPE x><xml/>",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := string(body)
		env, err := ScanEnvelope(body)
		if string(body) != before {
			t.Fatal("the body was changed")
		}
		if err != nil {
			wantMalformed(t, err)
			return
		}
		for _, part := range [][]byte{env.ToUserName, env.AgentID, env.Encrypt} {
			wantInside(t, body, part)
		}
		fields := jsonFields
		if bytes.TrimLeft(body, " \t\r\n")[0] == '<' {
			fields = xmlFields
		}
		got := fields(t, body)
		if len(got) >= maxElements {
			t.Fatalf("%d elements", len(got))
		}
		for name, want := range map[string][]byte{"tousername": env.ToUserName, "agentid": env.AgentID, "encrypt": env.Encrypt} {
			value, there := got[name]
			if there != (want != nil) || value != lineEnds.Replace(string(want)) {
				t.Fatalf("%s: got %q, another parser reads %q (there: %v)", name, want, value, there)
			}
		}
	})
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n") // as XML wants them read

func xmlFields(t *testing.T, body []byte) map[string]string {
	t.Helper()
	out := make(map[string]string)
	d := xml.NewDecoder(bytes.NewReader(body))
	var path []string
	for {
		token, err := d.Token()
		if err == io.EOF { //nolint:errorlint // Token returns it bare
			return out
		}
		if err != nil {
			t.Fatalf("encoding/xml refuses what was accepted: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			path = append(path, token.Name.Local)
			name := strings.ToLower(token.Name.Local)
			if _, twice := out[name]; twice || len(path) > 2 || token.Name.Space != "" || len(token.Attr) > 0 {
				t.Fatalf("element %v at depth %d", token.Name, len(path))
			}
			if len(path) == 2 {
				out[name] = ""
			} else if token.Name.Local != "xml" {
				t.Fatalf("root %q", token.Name.Local)
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if len(path) == 2 {
				out[strings.ToLower(path[1])] += string(token)
			} else if len(bytes.TrimSpace(token)) > 0 {
				t.Fatalf("text %q at depth %d", token, len(path))
			}
		case xml.ProcInst:
			if token.Target != "xml" || !bytes.HasPrefix(body, []byte("<?xml")) || len(path)+len(out) > 0 {
				t.Fatalf("processing instruction %q", token.Target)
			}
		default:
			t.Fatalf("token %T", token)
		}
	}
}

func jsonFields(t *testing.T, body []byte) map[string]string {
	t.Helper()
	if !json.Valid(body) {
		t.Fatal("encoding/json refuses what was accepted")
	}
	out := make(map[string]string)
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		t.Fatalf("got %v, %v, want an object", token, err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		value, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		key := strings.ToLower(name.(string))
		if _, twice := out[key]; twice {
			t.Fatalf("name %q twice", key)
		}
		switch value := value.(type) {
		case string:
			out[key] = value
		case json.Number:
			out[key] = value.String()
		case json.Delim:
			t.Fatalf("nested value in %q", key)
		default:
			out[key] = ""
		}
	}
	return out
}
