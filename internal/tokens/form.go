package tokens

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nkeys"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
)

// Why an entry of the bucket is ignored: a closed set, also the label of a metric.
const (
	ReasonMalformed = "malformed" // no tokenkeeper has written it
	ReasonPlain     = "plain"     // not sealed, and only sealed ones are taken
	ReasonSealed    = "sealed"    // sealed, and there is no key to open it
	ReasonNotForUs  = "not_for_us"
	ReasonForged    = "forged" // addressed to us, and not sealed by the tokenkeeper, or for another credential
)

func reasons() []string {
	return []string{ReasonMalformed, ReasonPlain, ReasonSealed, ReasonNotForUs, ReasonForged}
}

// ignored is the error of an entry that must not be used. It says nothing of the content.
type ignored struct{ reason, text string }

func (e *ignored) Error() string { return e.text }

func malformed(text string) error { return &ignored{ReasonMalformed, text} }

// Reason is why Decode refused an entry: one of the Reason constants.
func Reason(err error) string {
	var i *ignored
	if errors.As(err, &i) {
		return i.reason
	}
	return ReasonMalformed
}

// Form is how the values of one credential are written and read: plain, or sealed with xkeys. A sealed value has one box for
// each reader, which only that reader can open, and which only the tokenkeeper, or that very reader, can have made. Inside
// are the corp and the credential too, so that a box of another credential is no use. Make it with [Plain],
// [Sealing.Form] or [Opening.Form]. Safe for concurrent use.
type Form struct {
	corp, credential string

	key     service.Secret // private xkey; zero: plain
	keepers []string       // public xkeys of whom boxes are taken; empty: only the own
	readers []reader       // to whom is sealed, besides oneself
}

// reader is somebody who may read sealed tokens.
type reader struct{ name, key string }

// Plain is the form without seals. Whoever may read the bucket has the token, and whoever may write to it plants one.
func Plain(corp, credential string) Form { return Form{corp: corp, credential: credential} }

// Key is the key in the bucket.
func (f Form) Key() string { return events.TokenKey(f.corp, f.credential) }

// Sealed reports whether only sealed values are taken.
func (f Form) Sealed() bool { return !f.key.IsZero() }

// Encode writes v as a value of the bucket kf_tokens.
func (f Form) Encode(v Value) ([]byte, error) {
	t := events.AccessToken{Generation: v.Generation, Obtained: v.Obtained, Expires: v.Expires, Hash: v.Hash, Token: v.Token.Reveal()}
	if !f.Sealed() {
		return json.Marshal(t)
	}
	pair, own, err := keyPair(f.key)
	if err != nil {
		return nil, err
	}
	inside, err := json.Marshal(events.SealedToken{Corp: f.corp, Credential: f.credential, AccessToken: t})
	if err != nil {
		return nil, err
	}
	t.Token, t.Keeper = "", own
	for _, r := range f.all(own) {
		box, err := pair.Seal(inside, r.key)
		if err != nil {
			return nil, fmt.Errorf("seal for %s: %w", r.name, err)
		}
		t.Sealed = append(t.Sealed, events.TokenBox{Reader: r.name, Key: r.key, Box: box})
	}
	return json.Marshal(t)
}

// all are the readers of what is sealed here: the tokenkeeper first, as its replicas take over what another has written.
func (f Form) all(own string) []reader {
	return append([]reader{{"tokenkeeper", own}}, f.readers...)
}

// Decode reads a value of the bucket kf_tokens and refuses what the tokenkeeper cannot have written. Its errors say nothing
// of the content; see [Reason].
func (f Form) Decode(raw []byte) (Value, error) {
	var t events.AccessToken
	if json.Unmarshal(raw, &t) != nil { // its text may quote the value
		return Value{}, malformed("not the JSON of an access token")
	}
	switch {
	case !f.Sealed() && len(t.Sealed) > 0:
		return Value{}, &ignored{ReasonSealed, "the access token is sealed: set KF_TOKEN_OPEN_KEY_FILE and KF_TOKEN_KEEPER"}
	case !f.Sealed():
		return valueOf(t)
	case len(t.Sealed) == 0:
		return Value{}, &ignored{ReasonPlain, "the access token is not sealed, and only sealed ones are taken: planted, or the tokenkeeper has KF_TOKEN_SEAL=plain"}
	}
	return f.open(t.Sealed)
}

func (f Form) open(boxes []events.TokenBox) (Value, error) {
	pair, own, err := keyPair(f.key)
	if err != nil {
		return Value{}, &ignored{ReasonNotForUs, err.Error()}
	}
	keepers := f.keepers
	if len(keepers) == 0 {
		keepers = []string{own}
	}
	ours := slices.IndexFunc(boxes, func(b events.TokenBox) bool { return b.Key == own })
	if ours < 0 {
		return Value{}, &ignored{ReasonNotForUs, "the access token is not sealed for " + own + ": name it in the tokenkeeper's KF_TOKEN_READERS"}
	}
	for _, k := range keepers { // the first box alone: thousands that do not open would cost seconds
		inside, err := pair.Open(boxes[ours].Box, k)
		if err != nil {
			continue
		}
		var t events.SealedToken
		switch {
		case json.Unmarshal(inside, &t) != nil:
			return Value{}, malformed("not the JSON of an access token, although sealed")
		case t.Corp != f.corp || t.Credential != f.credential:
			return Value{}, &ignored{ReasonForged, "the access token was sealed for another credential"}
		}
		return valueOf(t.AccessToken)
	}
	return Value{}, &ignored{ReasonForged, "the access token was not sealed by the key in KF_TOKEN_KEEPER: planted, or the tokenkeeper has another key"}
}

// Current reports whether an entry that Decode has read is as Encode would write it: for these readers, by this key, and the
// same in each box and outside. Who may write into the bucket could spoil a reader's box and leave the tokenkeeper's.
func (f Form) Current(raw []byte) bool {
	var t events.AccessToken
	if json.Unmarshal(raw, &t) != nil {
		return false
	}
	if !f.Sealed() {
		return len(t.Sealed) == 0
	}
	pair, own, err := keyPair(f.key)
	if err != nil {
		return true // nothing better can be written
	}
	to := f.all(own)
	if t.Keeper != own || t.Token != "" || len(t.Sealed) != len(to) {
		return false
	}
	var first []byte
	for i, b := range t.Sealed {
		inside, err := pair.Open(b.Box, to[i].key) // a box between two keys opens with either
		if err != nil || (reader{b.Reader, b.Key}) != to[i] || i > 0 && !bytes.Equal(inside, first) {
			return false
		}
		first = inside
	}
	var in events.SealedToken
	return json.Unmarshal(first, &in) == nil && t.Generation == in.Generation && t.Hash == in.Hash &&
		t.Obtained.Equal(in.Obtained) && t.Expires.Equal(in.Expires)
}

// keyPair makes the pair of a private xkey. Its error does not show the key.
func keyPair(private service.Secret) (pair nkeys.KeyPair, public string, err error) {
	if pair, err = nkeys.FromCurveSeed([]byte(private.Reveal())); err == nil {
		public, err = pair.PublicKey()
	}
	if err != nil {
		return nil, "", errors.New("the private xkey cannot be used: it begins with SX and has 58 letters and digits; make one with kfbus token seal-key new")
	}
	return pair, public, nil
}

// NewSealKey makes a pair of xkeys: a private one, which is a secret of its owner's, and the public one.
func NewSealKey() (private service.Secret, public string, err error) {
	pair, err := nkeys.CreateCurveKeys()
	if err != nil {
		return private, "", err
	}
	seed, err := pair.Seed()
	if err != nil {
		return private, "", err
	}
	public, err = pair.PublicKey()
	return service.NewSecret(string(seed)), public, err
}
