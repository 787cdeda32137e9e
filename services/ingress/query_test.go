package ingress

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzQuery: what parseParams takes, net/url reads alike: these parameters, once each, and no other.
func FuzzQuery(f *testing.F) {
	sig := strings.Repeat("0123456789abcdef", 3)[:40]
	for _, s := range []string{
		"msg_signature=" + sig + "&timestamp=1700000000&nonce=1", "nonce=a_-&timestamp=1700000000&msg_signature=" + sig + "&echostr=a%2Bb+c=",
		"msg_signature=" + sig + "&timestamp=1700000000&nonce=1&nonce=%zz", "msg_signature=" + sig + ";timestamp=1", "&&=&%", "nonce", "",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, query string, check bool) {
		p, ok := parseParams(query, check)
		if !ok {
			return
		}
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("%q: net/url refuses what was taken: %v", query, err)
		}
		want := map[string]string{"msg_signature": p.signature, "timestamp": p.timestamp, "nonce": p.nonce}
		if check {
			want["echostr"] = p.echostr
		}
		for name, value := range want {
			if len(q[name]) != 1 || q[name][0] != value {
				t.Fatalf("%q: %s is %q, net/url reads %q", query, name, value, q[name])
			}
		}
		if len(q) != len(want) {
			t.Fatalf("%q: net/url reads %v", query, q)
		}
	})
}
