package kfcrypto

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
)

func TestReplyEnvelopes(t *testing.T) {
	f := loadVectors(t)
	var v vector
	for _, v = range f.Vectors {
		if v.ID == "wxjava-utf8-encrypt" {
			break
		}
	}
	c := newCodecOf(t, v.Token, v.EncodingAESKey, v.ReceiveID)
	s, err := c.Seal(strings.NewReader("aaaabbbbccccdddd"), v.Timestamp, v.Nonce, []byte(v.Plaintext), v.ReceiveID)
	if err != nil {
		t.Fatal(err)
	}
	const (
		enc = "jn1L23DB+6ELqJ+6bruv21Y6MD7KeIfP82D6gU39rmkgczbWwt5+3bnyg5K55bgVtVzd832WzZGMhkP72vVOfg=="
		sig = "82c962d39941aa48552f90ef55aa323dc620cc10"
	)
	wantXML := "<xml><Encrypt><![CDATA[" + enc + "]]></Encrypt><MsgSignature><![CDATA[" + sig + "]]></MsgSignature>" +
		"<TimeStamp>1409304348</TimeStamp><Nonce><![CDATA[xxxxxx]]></Nonce></xml>"
	if got := string(s.XML()); got != wantXML {
		t.Errorf("got  %s\nwant %s", got, wantXML)
	}
	wantJSON := `{"encrypt":"` + enc + `","msgsignature":"` + sig + `","timestamp":"1409304348","nonce":"xxxxxx"}`
	if got := string(s.JSON()); got != wantJSON {
		t.Errorf("got  %s\nwant %s", got, wantJSON)
	}
	var x struct{ Encrypt, MsgSignature, TimeStamp, Nonce string }
	if err := xml.Unmarshal(s.XML(), &x); err != nil {
		t.Fatal(err)
	}
	var j map[string]string
	if err := json.Unmarshal(s.JSON(), &j); err != nil {
		t.Fatal(err)
	}
	for form, p := range map[string][4]string{
		"XML":  {x.MsgSignature, x.TimeStamp, x.Nonce, x.Encrypt},
		"JSON": {j["msgsignature"], j["timestamp"], j["nonce"], j["encrypt"]},
	} {
		if m, _, err := c.Open(p[0], p[1], p[2], []byte(p[3])); err != nil || string(m) != v.Plaintext {
			t.Errorf("%s: got %q, %v, want %q", form, m, err, v.Plaintext)
		}
	}
}

func TestSealRefusesWhatWouldBreakItsEnvelope(t *testing.T) {
	c := newCodec(t)
	for _, tc := range []struct {
		name, timestamp, nonce string
		ok                     bool
	}{
		{"usual", testTime, testNonce, true},
		{"letters, underscore and dash", testTime, "n_0-Z", true},
		{"64 characters", testTime, strings.Repeat("n", 64), true},
		{"20 digits", strings.Repeat("1", 20), "n", true},
		{"no timestamp", "", "n", false},
		{"21 digits", strings.Repeat("1", 21), "n", false},
		{"a date", "2023-11-14", "n", false},
		{"element in the timestamp", "1</TimeStamp>", "n", false},
		{"no nonce", testTime, "", false},
		{"65 characters", testTime, strings.Repeat("n", 65), false},
		{"end of CDATA", testTime, "]]>", false},
		{"quote", testTime, `n"`, false},
		{"not ASCII", testTime, "ñ", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := c.Seal(nil, tc.timestamp, tc.nonce, nil, testCorp); (err == nil) != tc.ok {
				t.Errorf("got error %v, want ok %v", err, tc.ok)
			}
		})
	}
}
