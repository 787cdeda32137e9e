package main

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// publish asks for something that the stream must refuse, as the ingress itself does to know that it reaches it.
func (d *ingressDoctor) publish(ctx context.Context) []verdict {
	if d.bus == nil || len(d.doors) == 0 {
		return []verdict{skipped("needs the settings and the broker")}
	}
	var all []verdict
	for _, door := range d.doors {
		e, err := events.Own("canary", events.Source(door.CorpID, ""), events.TypeCallback, events.Doorbell{Corp: door.CorpID})
		if err != nil {
			return []verdict{failing("correct the corpid", "%s: %v", openerOf(door).title(), err)}
		}
		never := uint64(math.MaxInt64)
		_, _, err = d.bus.Publish(ctx, bus.Message{Subject: events.CallbackSubject(door.CorpID, "canary"), Event: e, ExpectLast: &never})
		switch {
		case errors.Is(err, bus.ErrConflict):
			all = append(all, fine("a callback of %s would be stored", openerOf(door).title()))
		case errors.Is(err, bus.ErrUnknown):
			all = append(all, failing("see that this user may publish "+events.CallbackSubject(door.CorpID, ">")+"; a refused permission looks like silence", "the stream gives no answer"))
		default:
			all = append(all, failing("look at the broker: kfbus topology check, its disk, its log", "a callback would not be stored: %v", err))
		}
	}
	return all
}

const (
	clockWarn     = 10 * time.Second
	clockPatience = 3 * time.Second
)

// clocks compares ours with the broker's and the platform's: by our clock the ingress tells news from repeats.
func (d *ingressDoctor) clocks(ctx context.Context) []verdict {
	all := []verdict{skipped("needs the broker"), skipped("needs the settings")}
	if d.bus != nil {
		before := d.now()
		if s, err := d.bus.JS.Stream(ctx, events.StreamCallback); err != nil || s.CachedInfo().TimeStamp.IsZero() {
			all[0] = skipped("the broker does not tell its time")
		} else {
			all[0] = clockVerdict("the broker's", s.CachedInfo().TimeStamp, before, d.now())
		}
	}
	if d.loaded {
		all[1] = d.platformClock(ctx)
	}
	return all
}

func (d *ingressDoctor) platformClock(ctx context.Context) verdict {
	u, err := url.Parse(d.common.APIBaseURL)
	if err != nil || u.Scheme != "https" && !loopback(u.Host) && !d.common.AllowHTTP {
		return skipped("KF_API_BASE_URL is not https")
	}
	ctx, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	before := d.now()
	a, err := callback{Method: http.MethodHead, URL: u.Scheme + "://" + u.Host + "/"}.deliver(ctx, d.client)
	if err != nil {
		return skipped("the platform is not reached from here, and the ingress need not reach it")
	}
	at, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return skipped("the platform's answer has no Date")
	}
	return clockVerdict("the platform's", at.Add(time.Second/2), before, d.now()) // a Date has no fractions
}

// clockVerdict judges our clock by another's, read somewhere between before and after.
func clockVerdict(whose string, theirs, before, after time.Time) verdict {
	off := before.Add(after.Sub(before) / 2).Sub(theirs)
	const do = "set the clock by NTP; until then the ingress refuses the console's check, or takes callbacks for stale"
	word := "ahead of"
	if off < 0 {
		word = "behind"
	}
	shown := off.Abs().Truncate(time.Millisecond)
	switch {
	case off.Abs() > checkTolerance:
		return failing(do, "ours is %v %s %s", shown, word, whose)
	case off.Abs() > clockWarn:
		return warning(do, "ours is %v %s %s", shown, word, whose)
	}
	return fine("ours is within %v of %s", max(shown, time.Second).Truncate(time.Second)+time.Second, whose)
}

// public asks each URL as the console does when it is saved, and once as somebody who has no keys.
func (d *ingressDoctor) public(ctx context.Context) []verdict {
	if len(d.doors) == 0 {
		return noSettings
	}
	if len(d.urls) == 0 {
		return []verdict{skipped("give --url, the public URL as it is in the console")}
	}
	var openers []opener
	for _, door := range d.doors {
		openers = append(openers, openerOf(door))
	}
	var all []verdict
	for _, raw := range d.urls {
		all = append(all, d.publicURL(ctx, raw, openers)...)
	}
	return all
}

func (d *ingressDoctor) publicURL(ctx context.Context, raw string, openers []opener) []verdict {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return []verdict{failing("give it whole, for example https://kf.example/callback", "--url is no URL")}
	}
	if u.RawQuery != "" {
		return []verdict{failing("take what begins with ? out of the URL in the console", "the URL has a query, and the ingress refuses every parameter but the platform's")}
	}
	m := sealing{url: raw, get: true}
	o, err := m.choose(openers)
	if err != nil {
		return []verdict{failing("the URL of a corp of KF_CORPS ends in /callback/<name>", "the path %s belongs to no corp", u.EscapedPath())}
	}
	cb, err := m.echo(o, d.now())
	if err != nil {
		return []verdict{skipped("needs well-formed secrets")}
	}
	a, err := cb.deliver(ctx, d.client)
	if err != nil {
		return []verdict{failing("see that the name resolves, the port is open to the internet, and the certificate is complete and of this name", "%v", err)}
	}
	all := []verdict{echoVerdict(a, cb.echo, o.answersGET), d.forgery(ctx, cb)}
	if a.tls {
		return append(all, certificate(a.expires.Sub(d.now())))
	}
	if !loopback(u.Host) {
		all = append(all, warning("put TLS before the ingress", "the URL is plain http: whoever listens can repeat what he hears"))
	}
	return all
}

func echoVerdict(a answered, echo string, answersGET bool) verdict {
	v := fine("the URL answers the console's check in %v, byte for byte", a.took.Truncate(time.Millisecond))
	why := a.echoFault(echo)
	switch {
	case !answersGET && a.Status == http.StatusForbidden:
		v = skipped("the console's check is switched off (…_VERIFY_URL=false), and refused")
	case why != "":
		v = failing("correct it, then save the URL in the console again", "%s", why)
	}
	v.Check = "echo"
	return v
}

// forgery sends the same with another signature.
func (d *ingressDoctor) forgery(ctx context.Context, cb callback) verdict {
	v := fine("a forged signature is refused")
	u, err := url.Parse(cb.URL)
	if err != nil {
		panic(err) // we made it
	}
	q := u.Query()
	q.Set("msg_signature", strings.Repeat("0", 40))
	u.RawQuery = q.Encode()
	forged := callback{Method: cb.Method, URL: u.String()}
	a, err := forged.deliver(ctx, d.client)
	switch {
	case err != nil:
		v = failing("ask again", "%v", err)
	case a.Status == http.StatusOK:
		v = failing("look at what answers at this URL: a proxy that says 200 to everything loses callbacks, a program that takes them unsigned is open to all", "a forged signature is answered with 200")
	}
	v.Check = "forgery"
	return v
}

const renewal = 14 * 24 * time.Hour

func certificate(left time.Duration) verdict {
	days := int(left / (24 * time.Hour))
	v := fine("the certificate is valid for %d days more", days)
	if left < renewal {
		v = warning("renew it: the platform refuses one that has expired", "the certificate is valid for only %d days more", days)
	}
	v.Check = "certificate"
	return v
}
