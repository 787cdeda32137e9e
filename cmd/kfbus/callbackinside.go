package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kfbus/kfbus/services/ingress"
)

// Whoever signed what fails from here on knows the Token.
const senderIsWrong = "the platform does not send this: look at the program that signed it"

func (x *exam) base64() (f *fault) {
	var err error
	if x.sealed, err = unbase64(x.encrypt); err != nil {
		return &fault{"Encrypt is truly signed and no base64", senderIsWrong}
	}
	if strings.ContainsAny(x.encrypt, "-_") || len(x.encrypt)%4 != 0 {
		x.note("Encrypt is base64 in the URL-safe alphabet or without its padding; the platform's has + / and =")
	}
	return nil
}

func (x *exam) length() *fault {
	switch n := len(x.sealed); {
	case n == 0 || n%16 != 0:
		return &fault{fmt.Sprintf("the ciphertext has %d bytes, which are no whole AES blocks: it was cut before it was signed", n), senderIsWrong}
	case n%32 != 0:
		return &fault{fmt.Sprintf("the ciphertext has %d bytes, no multiple of 32: it was padded to AES's 16, not to the protocol's 32", n), senderIsWrong}
	}
	return nil
}

func (x *exam) padding() *fault {
	x.opened = openFrame(x.door().pairs[x.with].key, x.sealed)
	if x.opened.whole || x.opened.pad > 1 { // by chance a wrong key gives a padding of 1, and seldom another
		x.found.Keys = x.door().pairs[x.with].name
		return nil
	}
	for i, o := range x.all {
		for j, p := range o.pairs {
			if (i != x.at || j != x.with) && openFrame(p.key, x.sealed).whole {
				return &fault{fmt.Sprintf("the signature fits %s, but the content opens with the key of %s (%s)", x.door().pairs[x.with].name, p.name, o.title()),
					"Token and EncodingAESKey are of different apps or times: copy both from the same page of the console"}
			}
		}
	}
	return &fault{"the Token is right and the EncodingAESKey is not: what comes out is garbage that ends in no padding",
		"copy the EncodingAESKey again, from the page that has this Token; if it was just changed, set the …_OLD_… variables meanwhile"}
}

func (x *exam) frame() *fault {
	if !x.opened.whole {
		return &fault{"the padding is right, so the EncodingAESKey is, but the length inside lies: written in characters instead of bytes, or not big-endian", senderIsWrong}
	}
	return nil
}

func (x *exam) receiveID() *fault {
	id := x.opened.receiveID
	x.found.ReceiveID = clip(id)
	ids := x.door().receiveIDs
	switch {
	case len(ids) == 0:
		x.note("the receiveid was not compared: give --corp or set KF_CORP_ID")
		return nil
	case slices.Contains(ids, id):
		return nil
	case id == "":
		return &fault{"the receiveid is empty; the platform writes the corpid there", senderIsWrong}
	}
	for i, o := range x.all {
		if i != x.at && slices.Contains(o.receiveIDs, id) {
			return &fault{fmt.Sprintf("the receiveid is that of %s, and it came to %s", o.title(), x.door().title()), "exchange the two URLs in the console; give each app keys of its own"}
		}
	}
	return &fault{fmt.Sprintf("the receiveid is %s, and %s is taken here", clip(id), strings.Join(ids, " or ")),
		"if that is your corpid, correct KF_CORP_ID (KF_CORP_<NAME>_ID); if it is the suiteid of your third-party app, name it in " + receiveIDsVariable + "; else another corp's app has your keys"}
}

const receiveIDsVariable = "KF_INGRESS_RECEIVE_ID"

// content is an echo, or a document.
func (x *exam) content() *fault {
	plain := x.opened.message
	if x.method == "GET" {
		if len(plain) < 1 || len(plain) > 64 || strings.IndexFunc(string(plain), notAlnum) >= 0 {
			return &fault{"what is in echostr is no echo of 1 to 64 letters and digits", "somebody puts a captured callback into a GET to have it decrypted: the answer is 403"}
		}
		x.found.Kind = "the console's check of the URL; the answer is the echo and nothing else"
		return nil
	}
	var err error
	if x.doc, err = ingress.Read(plain); err != nil {
		return &fault{fmt.Sprintf("the decrypted content is neither XML nor JSON; it has %d bytes", len(plain)), senderIsWrong}
	}
	x.found.Kind, x.found.Account = what(x.doc)
	x.found.AgentID = clip(x.doc("AgentID"))
	return nil
}

func notAlnum(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

func (x *exam) isReceiver(to string) bool {
	o := x.door()
	return o.corp == "" || to == o.corp || slices.Contains(o.receiveIDs, to)
}

func (x *exam) receiver() *fault {
	if x.doc == nil { // an echo
		return nil
	}
	if to := x.doc("ToUserName"); to != "" && !x.isReceiver(to) {
		return &fault{fmt.Sprintf("its ToUserName is %s and not %s: two products or corps share this URL and these keys", clip(to), x.door().corp),
			"give each its own path, Token and EncodingAESKey (KF_CORPS); the suiteid of a third-party app goes into " + receiveIDsVariable}
	}
	return nil
}

// How far the clocks may be apart, as the ingress has it.
const (
	checkTolerance = 5 * time.Minute
	pastTolerance  = 10 * time.Minute
	aheadTolerance = 5 * time.Minute
)

// timestamp: an old one says something only if it is known when the callback came.
func (x *exam) timestamp() *fault {
	seconds, err := strconv.ParseInt(x.p.timestamp, 10, 64)
	if err != nil {
		return &fault{"the timestamp is no number", senderIsWrong}
	}
	age := x.now.Sub(time.Unix(seconds, 0)).Truncate(time.Second)
	const clock = "compare this machine's clock with the true time; kfbus doctor ingress does"
	switch {
	case x.method == "GET" && (age < -checkTolerance || x.arrived && age > checkTolerance):
		return &fault{fmt.Sprintf("it was signed %s, and a check of the URL counts for %v", ago(age), checkTolerance), clock + "; if the clock is right, somebody repeats an old one"}
	case age < -aheadTolerance:
		x.note("it was signed %s: the ingress takes it for stale. %s", ago(age), clock)
	case x.arrived && age > pastTolerance:
		x.note("it was signed %s: the ingress keeps it and takes it for stale, a repeat or a wrong clock", ago(age))
	case age > checkTolerance:
		x.note("it was signed %s; if it arrived then, all is well (--at says when). Sent again now, the ingress would take it for a repeat", ago(age))
	}
	return nil
}

func ago(age time.Duration) string {
	if age < 0 {
		return (-age).String() + " in the future"
	}
	return age.String() + " ago"
}
