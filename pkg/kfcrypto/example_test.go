package kfcrypto_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// A callback as it is delivered: query parameters and a body.
func Example() {
	codec, err := kfcrypto.New("KfSimToken0123456789", "KfSimulatorEncodingAesKey0123456789ABCDEFGH", "ww0000sim000000001")
	if err != nil {
		fmt.Println(err)
		return
	}

	// What the platform does.
	sealed, err := codec.Seal(nil, "1700000000", "1234567890", []byte("<xml><Event><![CDATA[kf_msg_or_event]]></Event></xml>"), "ww0000sim000000001")
	if err != nil {
		fmt.Println(err)
		return
	}
	body := fmt.Appendf(nil, "<xml><ToUserName><![CDATA[ww0000sim000000001]]></ToUserName><Encrypt><![CDATA[%s]]></Encrypt></xml>", sealed.Encrypt)

	// What the receiver does.
	envelope, err := kfcrypto.ScanEnvelope(body)
	if err != nil {
		fmt.Println(err)
		return
	}
	message, receiveID, err := codec.Open(sealed.MsgSignature, sealed.Timestamp, sealed.Nonce, envelope.Encrypt)
	fmt.Printf("%s\n%s %v\n", message, receiveID, err)

	// Somebody else's.
	_, _, err = codec.Open(strings.Repeat("0", 40), sealed.Timestamp, sealed.Nonce, envelope.Encrypt)
	fmt.Println(errors.Is(err, kfcrypto.ErrSignature))
	// Output:
	// <xml><Event><![CDATA[kf_msg_or_event]]></Event></xml>
	// ww0000sim000000001 <nil>
	// true
}

// The answer to the GET by which the platform checks a callback URL, with the official sample.
func ExampleCodec_VerifyURL() {
	codec, err := kfcrypto.New("QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7")
	if err != nil {
		fmt.Println(err)
		return
	}
	echo, err := codec.VerifyURL("5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3", "1409659589", "263014780",
		"P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==")
	fmt.Println(echo, err)
	// Output: 1616140317555161061 <nil>
}

// While the platform may still use the old callback token or key.
func ExampleKeyRing() {
	fresh, err := kfcrypto.New("NewToken", kfcrypto.GenerateKey().Reveal(), "ww1")
	if err != nil {
		fmt.Println(err)
		return
	}
	old, err := kfcrypto.New("OldToken", kfcrypto.GenerateKey().Reveal(), "ww1")
	if err != nil {
		fmt.Println(err)
		return
	}
	ring, err := kfcrypto.NewKeyRing(fresh, old)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, codec := range []*kfcrypto.Codec{fresh, old} {
		s, err := codec.Seal(nil, "1700000000", "n", []byte("hello"), "ww1")
		if err != nil {
			fmt.Println(err)
			return
		}
		message, _, err := ring.Open(s.MsgSignature, s.Timestamp, s.Nonce, s.Encrypt)
		fmt.Printf("%s %v\n", message, err)
	}
	// Output:
	// hello <nil>
	// hello <nil>
}

// A key prints as [secret]; Reveal is the one way out.
func ExampleGenerateKey() {
	key := kfcrypto.GenerateKey()
	fmt.Printf("%v %+v %d\n", key, struct{ K kfcrypto.Key }{key}, len(key.Reveal()))
	// Output: [secret] {K:[secret]} 43
}
